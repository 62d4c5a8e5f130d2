import { describe, expect, test } from 'vitest';
import { parseLimit } from '../../src/cli/build/parse-limit.ts';

describe('O20: --ulimit', () => {
  test.each([
    ['nofile=512:1024', { name: 'nofile', soft: 512, hard: 1024 }],
    ['core=0', { name: 'core', soft: 0, hard: 0 }],
    ['stack=8192:-1', { name: 'stack', soft: 8192, hard: -1 }],
    ['memlock=-1', { name: 'memlock', soft: -1, hard: -1 }],
  ])('%s is read', (text, limit) => {
    expect(parseLimit(text)).toEqual(limit);
  });

  test.each([
    ['nofile', 'invalid ulimit argument: nofile'],
    ['nofiles=1', 'invalid ulimit type: nofiles (did you mean nofile?)'],
    ['nofile=1:2:3', 'too many limit value arguments'],
    ['nofile=x', 'invalid ulimit value "x"'],
    ['nofile=', 'invalid ulimit value ""'],
    ['nofile=2:1', 'soft limit must be less than or equal to hard limit: 2 > 1'],
    ['nofile=-1:5', 'soft limit must be less than or equal to hard limit: soft: -1 (unlimited) > 5'],
    ['__proto__=1', 'invalid ulimit type: __proto__'],
  ])('%s is refused', (text, message) => {
    expect(() => parseLimit(text)).toThrow(message);
  });
});
