import { describe, expect, test } from 'vitest';
import type { SandboxKind } from '../../src/run/index.ts';
import { Bench, kinds, whyNot } from '../run/sandbox-harness.ts';
import { skipBecause } from '../support/skip-because.ts';

// One question to a command: what it answers must be the same in every sandbox.
const questions = {
  'mount points': 'cut -d" " -f2 /proc/mounts | sort',
  'read-only mounts':
    'grep -vE " /proc/(keys|timer_list) " /proc/mounts | grep " ro," | cut -d" " -f2 | sort',
  'flags of what a command can write to':
    'grep -E " (/|/dev|/dev/shm|/dev/mqueue|/dev/pts|/proc|/etc/hosts) " /proc/mounts | cut -d" " -f2-4 | sed "s/,lowerdir.*//"',
  'nodes and links of /dev': 'ls -la /dev | awk \'{print $1, $3, $4, $5, $6, $NF}\' | sort | grep -v "[.]$"',
  'the root directory': 'ls -la / | awk \'{print $1, $3, $4, $NF}\' | grep -v "[.]$"',
  'capabilities, seccomp and no_new_privs': 'grep -E "^(Cap|NoNewPrivs|Seccomp:)" /proc/self/status',
  'signals that are blocked or ignored': 'grep -E "^Sig(Blk|Ign)" /proc/self/status',
  'user and groups': 'id; grep ^Groups /proc/self/status',
  'host name': 'hostname',
  umask: 'umask',
  'process id, session and process group of the command': 'cut -d" " -f1,4-6 /proc/$$/stat',
  'open files': 'ls /proc/$$/fd',
  environment: 'tr "\\0" "\\n" < /proc/$$/environ | sort',
  '/etc/hosts': 'cat /etc/hosts',
  '/etc/resolv.conf': 'cat /etc/resolv.conf',
  limits: 'ulimit -a',
  'network devices': 'ls /sys/class/net',
  'System V and POSIX objects': 'tail -n +2 /proc/sysvipc/shm | wc -l; ls /dev/mqueue',
  'what is hidden':
    'cat /proc/keys /proc/timer_list; ls /proc/acpi /sys/firmware; echo x > /proc/sysrq-trigger; echo x > /proc/sys/kernel/hostname',
  'what cannot be done':
    'mount -t tmpfs x /tmp; unshare -m true; chroot / true && echo chroot; hostname x; mknod /n c 1 3 && echo mknod; head -c1 /n',
  'personality and clone of namespaces': 'linux32 uname -m; unshare -U true',
} as const;

const user = { uid: 1000, gid: 1000, additionalGids: [1000, 44] };

async function answers(bench: Bench, kind: SandboxKind): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const [name, command] of Object.entries(questions)) {
    const { stdout, stderr } = await bench.run(kind, command, { network: 'none' });
    found[name] = stdout + stderr;
    const asUser = await bench.run(kind, command, { network: 'none', user });
    found[`${name} (as a user)`] = asUser.stdout + asUser.stderr;
  }
  return found;
}

describe('the environment of a command', () => {
  skipBecause(whyNot);

  test('is the same in all sandboxes', async () => {
    const bench = new Bench();
    const reference = await answers(bench, 'builtin');
    for (const kind of kinds) expect(await answers(bench, kind), kind).toEqual(reference);
  });

  describe.each(kinds)('%s', (kind) => {
    test('has the resource limits that it is given, (row O20)', async () => {
      const { stdout } = await new Bench().run(kind, 'ulimit -n; ulimit -Hn; ulimit -c', {
        network: 'none',
        user,
        limits: [
          { name: 'nofile', soft: 100, hard: 200 },
          { name: 'core', soft: 0, hard: 0 },
        ],
      });
      expect(stdout.split('\n')).toEqual(['100', '200', '0', '']);
    });

    test('has the capabilities that Docker gives, and none as an ordinary user', async () => {
      const bench = new Bench();
      const { stdout } = await bench.run(kind, 'grep ^Cap /proc/self/status | cut -f2');
      expect(stdout.split('\n').slice(0, 5)).toEqual([
        '0000000000000000',
        '00000000a80425fb',
        '00000000a80425fb',
        '00000000a80425fb',
        '0000000000000000',
      ]);
      const asUser = await bench.run(kind, 'grep ^Cap /proc/self/status | cut -f2; id -u; id -g; id -G', {
        user,
      });
      expect(asUser.stdout.split('\n')).toEqual([
        '0000000000000000',
        '0000000000000000',
        '0000000000000000',
        '00000000a80425fb',
        '0000000000000000',
        '1000',
        '1000',
        '1000 44',
        '',
      ]);
    });

    test('gets exactly the variables it was given, whatever they are called', async () => {
      const env = ['PATH=/bin', 'HOME=/h', 'a.b=1', 'E=', 'LD_PRELOAD=/nope.so', 'X=a\nb', 'U=ü'];
      const { stdout, stderr } = await new Bench().run(kind, ['cat', '/proc/self/environ'], { env });
      expect(stdout).toBe(env.map((entry) => `${entry}\0`).join(''));
      expect(stderr).toBe('');
    });

    test("sees a network of its own with loopback up, or the host's", async () => {
      const bench = new Bench();
      const alone = await bench.run(
        kind,
        'ls /sys/class/net; ping -c1 -w2 127.0.0.1 | grep -c "1 packets rec"',
        {
          network: 'none',
        },
      );
      expect(alone.stdout).toBe('lo\n1\n');
      const shared = await bench.run(kind, 'readlink /proc/self/ns/net', { network: 'host' });
      const separate = await bench.run(kind, 'readlink /proc/self/ns/net', { network: 'none' });
      expect(shared.stdout).not.toBe(separate.stdout);
    });

    test('writes extra hosts after the constant ones', async () => {
      const extraHosts = [['db', '10.0.0.1'] as const, ['v6', 'fe80::1'] as const];
      const { stdout } = await new Bench().run(kind, 'cat /etc/hosts', { extraHosts, hostname: 'h' });
      expect(stdout).toBe(
        '127.0.0.1\tlocalhost h\n::1\tlocalhost ip6-localhost ip6-loopback\n10.0.0.1\tdb\nfe80::1\tv6\n',
      );
    });

    test("cannot reach the host's disks through nodes of its own making", async () => {
      const { stdout, stderr } = await new Bench().run(
        kind,
        'for d in / /dev /tmp /dev/shm; do mknod $d/n c 1 5 && head -c1 $d/n | wc -c; done',
        { mounts: [{ kind: 'tmpfs', target: '/tmp' }] },
      );
      expect(stdout).toBe('0\n0\n0\n0\n');
      expect(stderr.match(/Permission denied/g)).toHaveLength(4);
    });

    test('privileged, has every capability and every device, and nothing is hidden', async () => {
      const { stdout } = await new Bench().run(
        kind,
        'mkdir /m && mount -t tmpfs x /m && echo mounted; mknod /n c 1 5 && head -c1 /n | wc -c; grep Seccomp: /proc/self/status; ls /dev/loop0 /dev/kmsg 2>/dev/null | wc -l; grep -c "/proc/" /proc/mounts',
        { privileged: true },
      );
      expect(stdout.split('\n').slice(0, 3)).toEqual(['mounted', '1', 'Seccomp:\t0']);
      expect(stdout.trim().split('\n').at(-1)).toBe('0');
    });

    test('has the size of /dev/shm that was asked for', async () => {
      const bench = new Bench();
      const size = 'grep " /dev/shm " /proc/mounts | grep -o "size=[0-9]*k"';
      expect((await bench.run(kind, size)).stdout).toBe('size=65536k\n');
      expect((await bench.run(kind, size, { shmSizeBytes: 1 << 20 })).stdout).toBe('size=1024k\n');
    });
  });
});
