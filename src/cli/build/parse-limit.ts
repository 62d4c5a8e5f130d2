import { type ResourceLimit, resourceLimits } from '../../run/contracts.ts';
import { UsageError } from '../command.ts';
import { closestName } from '../flags/index.ts';

/** Reads `NAME=SOFT[:HARD]` of --ulimit; -1 is no limit. @throws {UsageError} worded as Docker's client words it */
export function parseLimit(text: string): ResourceLimit {
  const [name = '', values, ...rest] = text.split('=');
  if (values === undefined || rest.length > 0) throw new UsageError(`invalid ulimit argument: ${text}`);
  if (!isLimitName(name)) {
    const near = closestName(name, Object.keys(resourceLimits));
    throw new UsageError(`invalid ulimit type: ${name}${near ? ` (did you mean ${near}?)` : ''}`);
  }
  const [soft = '', hard = soft, ...more] = values.split(':');
  if (more.length > 0)
    throw new UsageError(
      `too many limit value arguments - ${values}, can only have up to two, \`soft[:hard]\``,
    );
  for (const value of [soft, hard])
    if (!/^-?\d{1,15}$/.test(value) || Number(value) < -1)
      throw new UsageError(`invalid ulimit value "${value}" in ${text}`);
  const limit = { name, soft: Number(soft), hard: Number(hard) };
  if (limit.hard !== -1 && (limit.soft === -1 || limit.soft > limit.hard))
    throw new UsageError(
      `ulimit soft limit must be less than or equal to hard limit: ${soft === '-1' ? 'soft: -1 (unlimited)' : soft} > ${hard}`,
    );
  return limit;
}

function isLimitName(name: string): name is ResourceLimit['name'] {
  return Object.hasOwn(resourceLimits, name);
}
