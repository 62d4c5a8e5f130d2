import { describe, expect, test } from 'vitest';
import { capabilityMask, capabilityNames, commandCapabilities } from '../../src/run/capabilities.ts';
import { hostsFile, resolvConf } from '../../src/run/etc-files.ts';
import type { SandboxSpec } from '../../src/run/index.ts';
import { runtimeConfig } from '../../src/run/runtime-config.ts';

const spec: SandboxSpec = {
  lowerDirs: ['/store/rootfs/a'],
  scratch: '/store/tmp/1',
  argv: ['/bin/sh', '-c', 'true'],
  env: ['PATH=/bin', 'HOME=/root'],
  cwd: '/work',
  user: { uid: 1000, gid: 100, additionalGids: [100, 44] },
  hostname: 'buildkitsandbox',
  network: 'none',
  mounts: [],
  stdio: { kind: 'inherit', stdin: false },
};
const options = {
  rootPath: '/store/tmp/1/bundle/rootfs',
  bounding: (1n << 41n) - 1n,
  restoreRootFlags: false,
  arch: 'x64',
};

describe('config.json of a bundle', () => {
  test("is Docker's container, all but what is mounted already", () => {
    const { linux, ...config } = runtimeConfig(spec, options) as { linux: { seccomp: object } };
    const capabilities = [
      'CAP_CHOWN',
      'CAP_DAC_OVERRIDE',
      'CAP_FOWNER',
      'CAP_FSETID',
      'CAP_KILL',
      'CAP_SETGID',
      'CAP_SETUID',
      'CAP_SETPCAP',
      'CAP_NET_BIND_SERVICE',
      'CAP_NET_RAW',
      'CAP_SYS_CHROOT',
      'CAP_MKNOD',
      'CAP_AUDIT_WRITE',
      'CAP_SETFCAP',
    ];
    expect(config).toEqual({
      ociVersion: '1.0.2',
      process: {
        terminal: false,
        user: { uid: 1000, gid: 100, additionalGids: [100, 44], umask: 18 },
        args: ['/bin/sh', '-c', 'true'],
        env: ['PATH=/bin', 'HOME=/root'],
        cwd: '/work',
        capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
        noNewPrivileges: false,
      },
      root: { path: '/store/tmp/1/bundle/rootfs' },
      hostname: 'buildkitsandbox',
      mounts: [
        { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
        {
          destination: '/dev/mqueue',
          type: 'mqueue',
          source: 'mqueue',
          options: ['nosuid', 'noexec', 'nodev'],
        },
        { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
      ],
    });
    const { seccomp, ...rest } = linux;
    expect(rest).toEqual({
      namespaces: [{ type: 'pid' }, { type: 'ipc' }, { type: 'uts' }, { type: 'mount' }, { type: 'network' }],
      rootfsPropagation: 'rprivate',
      maskedPaths: [
        '/proc/acpi',
        '/proc/asound',
        '/proc/kcore',
        '/proc/keys',
        '/proc/latency_stats',
        '/proc/sched_debug',
        '/proc/scsi',
        '/proc/timer_list',
        '/proc/timer_stats',
        '/sys/devices/virtual/powercap',
        '/sys/firmware',
      ],
      readonlyPaths: ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'],
    });
    expect(seccomp).toMatchObject({
      defaultAction: 'SCMP_ACT_ERRNO',
      defaultErrnoRet: 1,
      architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'],
    });
  });

  test("shares the host's network, and knows other architectures", () => {
    const config = runtimeConfig({ ...spec, network: 'host' }, { ...options, arch: 'arm64' });
    expect(config).toMatchObject({
      linux: {
        namespaces: [{ type: 'pid' }, { type: 'ipc' }, { type: 'uts' }, { type: 'mount' }],
        seccomp: { architectures: ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM'] },
      },
    });
    expect(runtimeConfig(spec, { ...options, arch: 'mips' })).not.toHaveProperty('linux.seccomp');
  });

  test('hides and filters nothing for a privileged command', () => {
    const config = runtimeConfig({ ...spec, privileged: true }, options);
    expect(config).toHaveProperty('process.capabilities.bounding', capabilityNames);
    for (const key of ['seccomp', 'maskedPaths', 'readonlyPaths']) {
      expect(config).not.toHaveProperty(`linux.${key}`);
    }
  });

  test.each([
    [{}, ['remount', 'bind', 'nodev']],
    [{ readOnlyRoot: true }, ['remount', 'bind', 'nodev', 'ro']],
    [{ readOnlyRoot: true, privileged: true }, ['remount', 'bind', 'ro']],
  ])('tells crun the flags of the root again: %o', (changes, flags) => {
    const config = runtimeConfig({ ...spec, ...changes }, { ...options, restoreRootFlags: true });
    expect((config as { mounts: object[] }).mounts[0]).toEqual({
      destination: '/.',
      type: 'bind',
      source: options.rootPath,
      options: flags,
    });
  });

  test('adds HOME when the caller gave none, since runtimes add one of their own', () => {
    expect(runtimeConfig({ ...spec, env: ['A=1'] }, options)).toHaveProperty('process.env', [
      'A=1',
      'HOME=/',
    ]);
  });
});

describe('capabilities', () => {
  test("are Docker's, as the kernel writes them", () => {
    expect(capabilityMask(commandCapabilities(false, ~0n)).toString(16)).toBe('a80425fb');
    expect(capabilityMask(commandCapabilities(true, ~0n)).toString(16)).toBe('1ffffffffff');
  });

  test('are only those that this process could give', () => {
    expect(commandCapabilities(false, 0b11n)).toEqual(['CAP_CHOWN', 'CAP_DAC_OVERRIDE']);
    expect(commandCapabilities(true, 0b100n)).toEqual(['CAP_DAC_READ_SEARCH']);
  });
});

describe('files of /etc', () => {
  test('hosts is what BuildKit writes', () => {
    expect(hostsFile('buildkitsandbox', [['a', '1.2.3.4']])).toBe(
      '127.0.0.1\tlocalhost buildkitsandbox\n::1\tlocalhost ip6-localhost ip6-loopback\n1.2.3.4\ta\n',
    );
  });

  test("resolv.conf is the host's with its network, and empty without one", () => {
    expect(resolvConf('none', '/etc/passwd')).toBe('');
    expect(resolvConf('host', '/etc/passwd')).toContain('root:');
    expect(resolvConf('host', '/nonexistent')).toBe('');
  });
});
