import { formatPlatform } from '../../oci/index.ts';
import type { RunInstruction } from '../../parser/index.ts';
import { normalizeText, type StepAccount } from '../explain/account.ts';
import { accountLayers, optionSettings, stageVariables } from '../explain/account-parts.ts';
import type { RunMounts } from '../mounts/run-mounts.ts';
import type { BuildSession } from '../session.ts';
import { type StageState, shellOf, workingDirOf } from '../stage-state.ts';

/** What a RUN depends on beside its text, variables and mounts, as people name the option or flag. */
export type RunSettings = Readonly<Record<string, string>>;

/** What the key of a RUN is made of, for people. */
export function runAccount(
  session: BuildSession,
  state: StageState,
  instruction: RunInstruction,
  { argv, mounts, settings }: { argv: readonly string[]; mounts: RunMounts; settings: RunSettings },
) {
  const { command, heredocs, script, source } = instruction;
  const { mounts: mounted, lists } = mounts.account();
  const bodies = heredocs.map(({ rawBody }) => rawBody);
  const account: StepAccount = {
    kind: 'run',
    written: [normalizeText(source), ...bodies].join('\n'),
    instruction: JSON.stringify([command.form === 'shell' ? command.text : argv, script?.body ?? '']),
    ...(command.form === 'shell' ? { shell: JSON.stringify(shellOf(state)) } : {}),
    environment: stageVariables(state),
    user: state.config.User ?? '',
    workdir: workingDirOf(state),
    mounts: mounted,
    settings: {
      ...settings,
      timestamp: optionSettings(session).timestamp,
      platform: formatPlatform(state.platform),
    },
    base: accountLayers(state),
  };
  return { account, lists };
}
