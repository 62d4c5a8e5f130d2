import { describe, expect, test } from 'vitest';
import { type MountSpec, parseMount } from '../../src/parser/index.ts';
import { failureOf, only } from './parse.ts';

const read = (value: string): Omit<MountSpec, 'word'> => {
  const [mount] = only('run', `RUN --mount='${value}' true`).mounts;
  const { word, ...spec } = parseMount(mount!, (text) => text.replaceAll('$X', 'x'));
  expect(word).toBe(mount);
  return spec;
};

describe('RUN --mount (M01 to M06)', () => {
  test.each<[string, object]>([
    ['target=/a', { type: 'bind', source: '', target: '/a', readOnly: true }],
    [
      'type=bind,from=st,src=/s,dst=a,rw',
      { type: 'bind', from: 'st', source: '/s', target: 'a', readOnly: false },
    ],
    ['TYPE=Bind,Destination=$X,readonly=false', { type: 'bind', source: '', target: 'x', readOnly: false }],
    ['type=bind,readwrite=0,target=/a', { type: 'bind', source: '', target: '/a', readOnly: true }],
    [
      'type=cache,target=/a/../b/',
      { type: 'cache', id: '/b', sharing: 'shared', source: '', target: '/a/../b/', readOnly: false },
    ],
    [
      'type=cache,id=n,target=/a,sharing=LOCKED,mode=0700,uid=1,gid=2,ro,from=f,source=s',
      {
        type: 'cache',
        id: 'n',
        sharing: 'locked',
        source: 's',
        target: '/a',
        readOnly: true,
        from: 'f',
        mode: 0o700,
        uid: 1,
        gid: 2,
      },
    ],
    ['type=tmpfs,target=/t', { type: 'tmpfs', target: '/t', sizeBytes: 0, readOnly: false }],
    [
      'type=tmpfs,target=/t,size=1.5GiB',
      { type: 'tmpfs', target: '/t', sizeBytes: 1.5 * 1024 ** 3, readOnly: false },
    ],
    [
      'type=secret,id=a/b',
      { type: 'secret', id: 'a/b', target: '/run/secrets/b', required: false, mode: 0o400, uid: 0, gid: 0 },
    ],
    [
      'type=secret,target=/x/y',
      { type: 'secret', id: 'y', target: '/x/y', required: false, mode: 0o400, uid: 0, gid: 0 },
    ],
    [
      'type=secret,source=s,env=E,required',
      { type: 'secret', id: 's', env: 'E', required: true, mode: 0o400, uid: 0, gid: 0 },
    ],
    [
      'type=secret,id=s,env=E,target=/f',
      { type: 'secret', id: 's', env: 'E', target: '/f', required: false, mode: 0o400, uid: 0, gid: 0 },
    ],
    ['type=ssh', { type: 'ssh', id: 'default', required: false, mode: 0o600, uid: 0, gid: 0 }],
    [
      'type=ssh,id=k,target=/s,required=true,uid=7',
      { type: 'ssh', id: 'k', target: '/s', required: true, mode: 0o600, uid: 7, gid: 0 },
    ],
    ['type=bind,"source=a,""b",target=/a', { type: 'bind', source: 'a,"b', target: '/a', readOnly: true }],
  ])('%s', (value, spec) => {
    expect(read(value.replaceAll('"', '\\"'))).toEqual(spec);
  });
});

describe('options that do not go together (M07)', () => {
  test.each([
    'type=bnd,target=/a',
    'typ=bind',
    'target',
    'foo',
    'target=/a,mode=0700',
    'type=tmpfs,target=/a,uid=1',
    'type=bind,target=/a,gid=1',
    'size=1m,type=tmpfs,target=/a',
    'type=cache,target=/a,size=1',
    'type=bind,target=/a,sharing=locked',
    'type=secret,id=a,sharing=locked',
    'type=cache,target=/a,sharing=all',
    'type=cache,target=/a,required',
    'required,type=secret,id=a',
    'type=secret',
    'type=secret,id=a,from=b',
    'type=secret,id=a,source=b',
    'type=ssh,source=a',
    'type=cache,target=/a,mode=999',
    'type=cache,target=/a,uid=root',
    'type=tmpfs,target=/a,size=lots',
    'target=/a,ro=maybe',
  ])('%s is refused', (value) => {
    expect(failureOf(() => read(value)).code).toBe('MOUNT_INVALID');
  });
});
