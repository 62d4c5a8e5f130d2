import { CairnError } from '../errors/index.ts';
import { hostPlatform, type RunConfig } from '../oci/index.ts';
import { parseInstruction } from '../parser/index.ts';
import { defaultEpoch } from './contracts.ts';
import { type StageState, scratchState, withConfig } from './stage-state.ts';
import { applyMetadata, expandIn, type InstructionScope } from './steps/metadata.ts';
import { absolutePath } from './steps/workdir.ts';

/** What `import --change` takes (moby builder/dockerfile, validCommitCommands). */
const allowed = [
  'cmd',
  'entrypoint',
  'env',
  'expose',
  'healthcheck',
  'label',
  'onbuild',
  'stopsignal',
  'user',
  'volume',
  'workdir',
];

/**
 * The config that instructions make of an empty one: `import -c 'CMD ["sh"]'`. Nothing is added that was not asked for, not
 * even PATH.
 * @throws {CairnError} as the parser and the instructions do; USAGE for an instruction that cannot be a change
 */
export function applyChanges(changes: readonly string[]): RunConfig {
  const scope: InstructionScope = { escape: '\\', epoch: defaultEpoch, buildArgs: {}, globalArgs: new Map() };
  const start: StageState = { ...scratchState(hostPlatform()), config: {}, env: new Map() };
  const { ArgsEscaped: _, ...config } = changes.reduce(
    (state, text) => applyChange(state, text, scope),
    start,
  ).config;
  return config;
}

function applyChange(state: StageState, text: string, scope: InstructionScope): StageState {
  const instruction = parseInstruction(text, { file: '--change' });
  const { kind } = instruction;
  if (!allowed.includes(kind) || kind === 'run' || kind === 'copy' || kind === 'add')
    throw new CairnError('USAGE', {
      message: `${kind.toUpperCase()} is not a valid change`,
      at: instruction.span,
      help: `changes are ${allowed.join(', ').toUpperCase()}`,
    });
  if (kind !== 'workdir') return applyMetadata(state, instruction, scope);
  return withConfig(state, { WorkingDir: absolutePath(state, expandIn(state, instruction.path, scope)) });
}
