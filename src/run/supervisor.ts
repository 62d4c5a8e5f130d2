import type { PreparedCommand } from './runtime.ts';

// Death: every process of a step must die when Cairn does, even by SIGKILL. A parent-death signal alone does not do: the kernel
// drops it when a process changes its credentials, as `su` in a RUN does. So the step runs in a PID namespace inside
// another one, whose init is the supervisor, a host shell that never changes credentials and so keeps its
// parent-death signal: when it dies, the kernel kills the namespace and the one inside it.
//
// The signal cannot be set before the supervisor exists, and Cairn may die in between. So nothing of the step starts
// before Cairn has read the listener's line, which comes after the signal is set, and answered `go`: the end
// of the file instead of an answer means that Cairn is gone.

/** Waits for `go`, then runs the command line with the given stdin, stdout and stderr. Its own complaints go nowhere. */
const listening = [
  'exec 4>&2 2>/dev/null',
  // A leader of a session gets the terminal that it opens as the controlling one, which runc looks for.
  'if [ -t 0 ]; then exec 5<>/proc/self/fd/0 5>&-; fi',
  'printf "ready\\n" >&3 && IFS= read -r answer <&3 && [ "$answer" = go ] || exit 125',
  '"$@" 2>&4 3>&- 4>&-',
  'exit $?',
].join('\n');

/** Leaves the conversation to the command line's own first process. */
const passing = ['exec 4>&2 2>/dev/null', '"$@" 2>&4 4>&-', 'exit $?'].join('\n');

/** Host programs that a supervisor is made of. */
export interface SupervisorTools {
  /** util-linux's setpriv. */
  readonly setpriv: string;
  readonly shell: string;
}

/**
 * The argv of the supervisor for a command. Start it as the first process of a new PID namespace, in its own session unless
 * it is to use the terminal, with an empty environment and one end of a socket as file descriptor 3. It exits with the
 * command's exit code, 128 + n when that died of signal n.
 */
export function supervisorCommand(
  tools: SupervisorTools,
  command: Omit<PreparedCommand, 'devpts'>,
): readonly string[] {
  const script = command.listener === 'supervisor' ? listening : passing;
  const shell = [tools.shell, '-c', script, 'cairn-step', ...command.argv];
  return [tools.setpriv, '--pdeathsig', 'KILL', '--', ...command.around, ...shell];
}
