import { CairnError, type Span } from '../errors/index.ts';
import { checkDirectiveOf } from './directives.ts';
import type { RuleName } from './lint-rules.ts';
import { parseBoolean } from './numbers.ts';

/** Which checks apply: the value of `# check=` or of the build argument BUILDKIT_DOCKERFILE_CHECK. */
export interface CheckOptions {
  readonly skip: ReadonlySet<string> | 'all';
  readonly experimental: ReadonlySet<string> | 'all';
  /** A finding is to fail the build. */
  readonly isError: boolean;
}

/** All checks that are not experimental, as warnings. */
export const defaultChecks: CheckOptions = { skip: new Set(), experimental: new Set(), isError: false };

/**
 * Reads `skip=A,B;experimental=all;error=true`; what follows a blank is not part of it.
 * @throws {CairnError} DIRECTIVE_INVALID
 */
export function parseCheckOptions(text: string, at?: Span): CheckOptions {
  const [value = ''] = text.trim().split(' ', 1);
  let options = defaultChecks;
  if (value === '') return options;
  // BuildKit splits into three parts at most, so a fourth one is taken as the third one's value.
  const parts = value.split(';');
  for (const part of parts.length > 3 ? [...parts.slice(0, 2), parts.slice(2).join(';')] : parts) {
    options = withOption(options, part, at);
  }
  return options;
}

function withOption(options: CheckOptions, part: string, at: Span | undefined): CheckOptions {
  const equals = part.indexOf('=');
  const key = (equals < 0 ? part : part.slice(0, equals)).trim();
  const value = part.slice(equals + 1).trim();
  if (equals >= 0) {
    if (key === 'skip') return { ...options, skip: namesIn(value) };
    if (key === 'experimental') return { ...options, experimental: namesIn(value) };
    const isError = parseBoolean(value);
    if (key === 'error' && isError !== undefined) return { ...options, isError };
  }
  throw new CairnError('DIRECTIVE_INVALID', {
    message: `"${part}" is not an option of the check directive`,
    ...(at && { at }),
    help: 'write "# check=skip=RuleA,RuleB;error=true"; the options are skip, experimental and error',
  });
}

function namesIn(value: string): ReadonlySet<string> | 'all' {
  return value === 'all' ? 'all' : new Set(value.split(',').map((name) => name.trim()));
}

/** The options with those of `check=` comments right above an instruction added; broken ones are ignored. */
export function withComments(options: CheckOptions, comments: readonly string[]): CheckOptions {
  const directive = comments.map(checkDirectiveOf).find((value) => value !== undefined);
  if (directive === undefined) return options;
  try {
    const more = parseCheckOptions(directive);
    return {
      skip: union(options.skip, more.skip),
      experimental: union(options.experimental, more.experimental),
      isError: options.isError,
    };
  } catch {
    return options;
  }
}

/** Whether a rule is to report. */
export function isEnabled(options: CheckOptions, rule: RuleName, isExperimental: boolean): boolean {
  if (isExperimental) return options.experimental === 'all' || options.experimental.has(rule);
  return options.skip !== 'all' && !options.skip.has(rule);
}

type Names = ReadonlySet<string> | 'all';

function union(left: Names, right: Names): Names {
  return left === 'all' || right === 'all' ? 'all' : new Set([...left, ...right]);
}
