import { type ChildProcess, spawn } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { CairnError } from '../errors/index.ts';
import { inNewNamespaces, usableCpus, withCpus, withoutAddressRandomization } from '../sys/index.ts';
import { assembleRoot } from './assemble-root.ts';
import type { SandboxHandle, SandboxRun, SandboxSpec } from './contracts.ts';
import { findCommand } from './find-command.ts';
import { findExecutable, type StartFailure } from './find-executable.ts';
import type { Runtime, Step } from './runtime.ts';
import { makeStepFolders, type StepFolders } from './step-folders.ts';
import { pipeStdio, type StepStdio, terminalStdio } from './step-stdio.ts';
import type { Stubs } from './stubs.ts';
import { type SupervisorTools, supervisorCommand } from './supervisor.ts';
import { checkMapped } from './user-namespace.ts';

export interface LaunchOptions {
  readonly runtime: Runtime;
  readonly tools: SupervisorTools;
  readonly userNamespace: boolean;
}

/** Starts one command. See `Sandbox` in contracts.ts for what holds when `done` settles. */
export function launch(spec: SandboxSpec, options: LaunchOptions): SandboxHandle {
  const killer = new Killer();
  return {
    done: runStep(spec, options, killer),
    kill: (signal) => killer.kill(signal),
  };
}

async function runStep(spec: SandboxSpec, options: LaunchOptions, killer: Killer): Promise<SandboxRun> {
  throwIfAborted(spec.signal);
  if (options.userNamespace) checkMapped(spec.user);
  const umask = spec.steady?.umask;
  const folders = withUmask(umask, () => makeStepFolders(spec));
  const started = withUmask(umask, () => inNewNamespaces(() => start(spec, folders, options)));
  try {
    if ('exitCode' in started) {
      return { exitCode: started.exitCode, startError: started.message, upperDir: folders.upperDir };
    }
    return await finish(started, options, spec, killer);
  } finally {
    started.stubs.remove(folders.upperDir);
  }
}

function withUmask<T>(umask: number | undefined, work: () => T): T {
  if (umask === undefined) return work();
  const before = process.umask(umask);
  try {
    return work();
  } finally {
    process.umask(before);
  }
}

interface Running {
  readonly child: ChildProcess;
  readonly step: Step;
  readonly stdio: StepStdio;
}

/** Everything that must see the step's mounts. Synchronous (see `inNewNamespaces`). */
function start(
  spec: SandboxSpec,
  folders: StepFolders,
  options: LaunchOptions,
): { readonly stubs: Stubs } & (Running | StartFailure) {
  const stubs = assembleRoot({ spec, folders, userNamespace: options.userNamespace });
  const found = findExecutable({
    root: folders.root,
    name: spec.argv[0] ?? '',
    env: spec.env,
    cwd: spec.cwd,
    user: spec.user,
  });
  if (!('path' in found)) return { stubs, ...found };
  const step: Step = { spec, folders, program: found.path };
  const { devpts, ...command } = options.runtime.prepare(step);
  const [program, ...args] = supervisorCommand(options.tools, command);
  const stdio = spec.terminal === true ? terminalStdio(spec, devpts) : pipeStdio(spec);
  try {
    const child = steadily(spec.steady, () =>
      spawn(program!, args, {
        cwd: folders.bundle,
        env: {},
        // In a session of its own it gets no Ctrl-C: that is for Cairn to pass on.
        detached: true,
        stdio: [...stdio.fds, 'pipe'],
      }),
    );
    return { stubs, child, step, stdio };
  } catch (error) {
    stdio.discard();
    throw error;
  }
}

/** What a thread hands on to the programs that it starts. */
function steadily<T>(steady: SandboxSpec['steady'], start: () => T): T {
  if (steady === undefined) return start();
  const { cpus } = steady;
  if (cpus !== undefined && cpus > usableCpus())
    throw new CairnError('CPUS_UNAVAILABLE', {
      message: `commands are to see ${cpus} CPUs, but this process may use ${usableCpus()}`,
      help: 'ask for as many as every builder has (--visible-cpus)',
    });
  return withoutAddressRandomization(() => (cpus === undefined ? start() : withCpus(cpus, start)));
}

async function finish(
  { child, step, stdio }: Running,
  { runtime }: LaunchOptions,
  spec: SandboxSpec,
  killer: Killer,
): Promise<SandboxRun> {
  const abort = (): void => void child.kill('SIGKILL');
  spec.signal?.addEventListener('abort', abort, { once: true });
  if (spec.signal?.aborted === true) abort();
  try {
    const exited = exitOf(child);
    const copied = stdio.copy();
    const said = converse(child.stdio[3] as Duplex, runtime.go(step));
    if (child.pid !== undefined) {
      killer.started(child.pid, (commandLine) => runtime.isRuntime(step, commandLine));
    }
    const exitCode = await exited;
    killer.ended();
    await copied;
    throwIfAborted(spec.signal);
    return { ...outcome(runtime, step, exitCode, await said), upperDir: step.folders.upperDir };
  } finally {
    spec.signal?.removeEventListener('abort', abort);
  }
}

function outcome(
  runtime: Runtime,
  step: Step,
  exitCode: number,
  said: string,
): { readonly exitCode: number; readonly startError?: string } {
  const problem = runtime.problem(step, exitCode, said);
  if (problem === null) return { exitCode };
  if (problem.kind === 'command') return { exitCode: problem.exitCode, startError: problem.message };
  throw new CairnError('SANDBOX_FAILED', {
    message: `the ${runtime.kind} sandbox could not run the command: ${problem.message}`,
    help: 'try another sandbox (--sandbox crun, runc or builtin)',
  });
}

/** The supervisor's exit code; waits for all processes of the step, since its exit ends their PID namespace. */
function exitOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', (cause) =>
      reject(
        new CairnError('SANDBOX_FAILED', {
          message: `the sandbox could not be started: ${cause.message}`,
          cause,
        }),
      ),
    );
    child.once('exit', (code) => resolve(code ?? 137));
  });
}

/** Answers the listener's first line with `go`. @returns all that was said after that line */
function converse(socket: Duplex, go: string): Promise<string> {
  return new Promise((resolve) => {
    let heard = '';
    let answered = false;
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => {
      heard += text;
      if (answered || !heard.includes('\n')) return;
      answered = true;
      socket.write(go);
    });
    // The other side may be killed at any time: the exit code tells.
    socket.on('error', () => undefined);
    socket.once('close', () => resolve(heard.slice(heard.indexOf('\n') + 1)));
  });
}

/** Signals for the command's first process, kept until it exists. */
class Killer {
  #findCommand: () => number | null = () => null;
  #isOver = false;
  readonly #waiting: NodeJS.Signals[] = [];
  #timer: NodeJS.Timeout | undefined;

  kill(signal: NodeJS.Signals): void {
    this.#waiting.push(signal);
    this.#deliver();
  }

  started(supervisor: number, isRuntime: (commandLine: readonly string[]) => boolean): void {
    this.#findCommand = () => findCommand(supervisor, isRuntime);
    this.#deliver();
  }

  ended(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }

  #deliver(): void {
    if (this.#isOver || this.#waiting.length === 0) return;
    const command = this.#findCommand();
    clearTimeout(this.#timer);
    if (command === null) {
      this.#timer = setTimeout(() => this.#deliver(), 5);
      return;
    }
    for (const signal of this.#waiting.splice(0)) {
      try {
        process.kill(command, signal);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      }
    }
  }
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted !== true) return;
  throw new CairnError('ABORTED', { message: 'the command was cancelled', cause: signal.reason });
}
