import { chainIdOf } from '../../oci/index.ts';
import type { WorkdirInstruction } from '../../parser/index.ts';
import { toBytes } from '../../sys/index.ts';
import { cacheFormat, keyOf } from '../cache-key.ts';
import { cleanPath } from '../copy/resolve-path.ts';
import { TreeEditor } from '../copy/tree-editor.ts';
import { normalizeText, type StepAccount } from '../explain/account.ts';
import { accountLayers, optionSettings, usedVariables } from '../explain/account-parts.ts';
import type { BuildSession } from '../session.ts';
import { type StageState, withConfig, withHistory, withLayer, workingDirOf } from '../stage-state.ts';
import { resolveOwner } from '../user.ts';
import { storeEntries } from './copy.ts';
import { runLayerStep, type StepResult } from './layer-step.ts';
import { expandIn } from './metadata.ts';
import type { StepPosition } from './position.ts';

/**
 * WORKDIR: makes the folder (0755, parents too, owned by the stage's USER) and always a layer, except for `/`
 * (rows I27 to I29).
 */
export async function executeWorkdir(
  session: BuildSession,
  state: StageState,
  instruction: WorkdirInstruction,
  position: StepPosition,
): Promise<StepResult> {
  const path = absolutePath(state, expandIn(state, instruction.path, session));
  const next = withConfig(state, { WorkingDir: path });
  if (path === '/') return { state: withHistory(next, 'WORKDIR /', { epoch: session.epoch }), cached: true };
  const user = state.config.User ?? '';
  const base = chainIdOf(state.layers);
  const step = {
    position,
    parent: state.layers,
    isByContent: true,
    key: keyOf({ format: cacheFormat, kind: 'workdir', path, user, base, epoch: session.epoch }),
    account: () => ({ account: workdirAccount(session, state, instruction, path), lists: new Map() }),
  };
  const { layer, outcome } = await runLayerStep(session, step, async () => {
    const { layers } = session.store;
    if (user === '') await layers.prepare(state.layers);
    else await layers.fetch(state.layers);
    const tree = layers.tree(state.layers);
    const owner = user === '' ? { uid: 0, gid: 0 } : resolveOwner(layers, tree, user);
    const editor = new TreeEditor(tree, session.epoch);
    editor.mkdirAll(editor.resolve(cleanPath(toBytes(path)), { followLast: true }), {
      mode: 0o755,
      ...owner,
    });
    return storeEntries(session, editor.entries(), tree, position);
  });
  return { state: withLayer(next, layer, `WORKDIR ${path}`, session.epoch), ...outcome };
}

function workdirAccount(
  session: BuildSession,
  state: StageState,
  { source, path: word }: WorkdirInstruction,
  path: string,
): StepAccount {
  return {
    kind: 'workdir',
    written: normalizeText(source),
    instruction: path,
    used: usedVariables(state, [word], session.escape),
    user: state.config.User ?? '',
    workdir: workingDirOf(state),
    settings: { timestamp: optionSettings(session).timestamp },
    base: accountLayers(state),
  };
}

/**
 * What WORKDIR puts into the config: an absolute path as written, a relative one joined to the stage's folder and cleaned
 * (measured with BuildKit 28.5).
 */
export function absolutePath(state: StageState, path: string): string {
  return path.startsWith('/') ? path : `/${cleanPath(`${workingDirOf(state)}/${path}`)}`;
}
