import { type BuildOptions, checkDockerfile, readOutline, readTargets } from '../../builder/index.ts';
import { UsageError } from '../command.ts';
import { type FlagValues, parseCsv } from '../flags/index.ts';
import type { Host } from '../host.ts';
import { printError } from '../print-error.ts';
import {
  checksJson,
  formatChecks,
  formatOutline,
  formatTargets,
  outlineJson,
  targetsJson,
} from './call-format.ts';

/** `--call` and `--check`: to look at the Dockerfile instead of building it. */
export interface Call {
  readonly method: 'check' | 'outline' | 'targets';
  readonly isJson: boolean;
  /** Findings do not count as a failure. */
  readonly ignoreStatus: boolean;
}

const methods: Readonly<Record<string, Call['method'] | 'build'>> = {
  '': 'build',
  build: 'build',
  check: 'check',
  lint: 'check',
  outline: 'outline',
  targets: 'targets',
};

/** @returns null for a build. @throws {UsageError} */
export function callOf(flags: FlagValues): Call | null {
  const [name = '', ...fields] = parseCsv(flags.text('call') ?? '');
  const method = flags.bool('check') ? 'check' : methods[name.toLowerCase()];
  if (method === undefined)
    throw new UsageError(`invalid --call method "${name}": must be build, check, outline or targets`);
  let [isJson, ignoreStatus] = [false, false];
  for (const field of fields) {
    const [key, value = ''] = field.split('=', 2);
    if (key === 'format' && ['json', 'text'].includes(value)) isJson = value === 'json';
    else if (key === 'format') throw new UsageError(`invalid --call format "${value}": must be json or text`);
    else if (key === 'ignorestatus') ignoreStatus = booleanOf(field, value);
    else throw new UsageError(`invalid print field: ${field}`);
  }
  return method === 'build' ? null : { method, isJson, ignoreStatus };
}

function booleanOf(field: string, value: string): boolean {
  if (/^(?:1|t|true)$/i.test(value)) return true;
  if (/^(?:0|f|false)$/i.test(value)) return false;
  throw new UsageError(`invalid ignorestatus print value: ${field}`);
}

/** Answers a call on stdout. @returns the exit code: 1 when checks found something */
export async function runCall(call: Call, options: BuildOptions, host: Host): Promise<number> {
  switch (call.method) {
    case 'targets': {
      const { targets, file } = await readTargets(options);
      host.stdout.write(call.isJson ? targetsJson(targets, file) : formatTargets(targets));
      return 0;
    }
    case 'outline': {
      const { outline, file } = await readOutline(options);
      host.stdout.write(call.isJson ? outlineJson(outline, file) : formatOutline(outline));
      return 0;
    }
    case 'check': {
      const report = await checkDockerfile(options);
      host.stdout.write(call.isJson ? checksJson(report) : formatChecks(report));
      if (report.error) printError(host, report.error);
      return report.error || (report.diagnostics.length > 0 && !call.ignoreStatus) ? 1 : 0;
    }
  }
}
