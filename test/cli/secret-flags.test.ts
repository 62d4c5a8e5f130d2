import { expect, test } from 'vitest';
import { secretsOf, sshOf } from '../../src/cli/build/secret-flags.ts';

const host = { cwd: '/work', env: { TOKEN: 'value', SSH_AUTH_SOCK: '/run/agent' } };

/** What the one secret that is read is, in short. */
function secret(text: string): string {
  const [[id, source] = []] = Object.entries(secretsOf([text], host));
  if (source === undefined) return 'none';
  return `${id}: ${source.kind === 'file' ? source.path : `"${Buffer.from(source.bytes).toString()}"`}`;
}

test.each([
  ['id=x,src=f', 'x: /work/f'],
  ['id=x,source=/abs/f', 'x: /abs/f'],
  ['ID=x,SRC=f', 'x: /work/f'],
  ['"id=x","src=a,b"', 'x: /work/a,b'],
  ['id=x,env=TOKEN', 'x: "value"'],
  ['id=x,env=UNSET', 'x: ""'],
  ['id=x,type=env,src=TOKEN', 'x: "value"'],
  ['id=x,type=file,src=TOKEN', 'x: /work/TOKEN'],
  ['id=TOKEN', 'TOKEN: "value"'],
  ['id=file', 'file: /work/file'],
])('--secret %s is %s (K10)', (text, expected) => {
  expect(secret(text)).toBe(expected);
});

test.each([
  ['src=f', /has no id/],
  ['id=', /has no id/],
  ['id=x,other=y', /unexpected key "other"/],
  ['id=x,src', /must be a key=value pair/],
  ['id=x,type=dir', /unsupported secret type "dir"/],
])('--secret %s is refused', (text, expected) => {
  expect(() => secretsOf([text], host)).toThrow(expected);
});

test.each([
  [['default'], { default: ['/run/agent'] }],
  [['default=a.sock'], { default: ['/work/a.sock'] }],
  [['one=k1,/k2', 'two'], { one: ['/work/k1', '/k2'], two: ['/run/agent'] }],
  [['=k'], { default: ['/work/k'] }],
  [[], {}],
])('--ssh %j (K11)', (values, expected) => {
  expect(sshOf(values, host)).toEqual(expected);
});

test('--ssh without a path needs a running agent, and an id only once', () => {
  expect(() => sshOf(['default'], { cwd: '/', env: {} })).toThrow(/SSH_AUTH_SOCK/);
  expect(() => sshOf(['a=k', 'a=l'], host)).toThrow(/duplicate agent ID "a"/);
});
