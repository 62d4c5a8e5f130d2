import { existsSync, readFileSync } from 'node:fs';
import { arch, cpus, hostname, release, totalmem } from 'node:os';
import { hasCode } from '../../errors/index.ts';
import { chooseSandbox } from '../../run/index.ts';
import type { Command, Invocation } from '../command.ts';
import { humanMemory, parseFormat } from '../format/index.ts';
import { documentFormat } from '../format-flag.ts';
import type { Host } from '../host.ts';
import { type OpenStore, withStore } from '../open-store.ts';
import { printDocument } from '../print-document.ts';
import { GoNil, GoStruct } from '../template/index.ts';
import { cairnVersion } from '../version-number.ts';

export const command: Command = {
  usage: '[OPTIONS]',
  summary: 'Describe the store and this machine',
  args: { min: 0, max: 0 },
  flags: [documentFormat],
  run: (invocation) => withStore(invocation.host, (store) => showInfo(invocation, store)),
};

/** What there is to say, under Docker's names. */
interface Facts {
  readonly images: number;
  readonly sandbox: string;
  readonly cgroupVersion: '1' | '2';
  readonly operatingSystem: string;
  readonly memoryBytes: number;
  readonly cpuCount: number;
}

async function showInfo({ host, flags }: Invocation, store: OpenStore): Promise<number> {
  const format = flags.text('format');
  const template = format === undefined ? null : parseFormat(format);
  const facts = await gather(host, store);
  if (template) printDocument(host, template, document(facts, store));
  else host.stdout.write(`${table(facts, store)}\n`);
  return 0;
}

async function gather(host: Host, store: OpenStore): Promise<Facts> {
  return {
    images: store.images.list().length,
    sandbox: await sandboxName(host),
    cgroupVersion: existsSync('/sys/fs/cgroup/cgroup.controllers') ? '2' : '1',
    operatingSystem: operatingSystem(),
    memoryBytes: totalmem(),
    cpuCount: cpus().length,
  };
}

async function sandboxName(host: Host): Promise<string> {
  try {
    return await chooseSandbox(host.env);
  } catch (error) {
    if (hasCode(error, 'SANDBOX_UNAVAILABLE')) return 'none';
    throw error;
  }
}

/** Node's names of architectures, as `uname -m` writes them. */
const machineNames: Readonly<Record<string, string>> = { x64: 'x86_64', arm64: 'aarch64', ia32: 'i686' };

function operatingSystem(): string {
  try {
    const name = /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1];
    return name ?? 'Linux';
  } catch {
    // No such file on a minimal system: nothing better is known.
    return 'Linux';
  }
}

function table(facts: Facts, store: OpenStore): string {
  return [
    'Client:',
    ` Version:    ${cairnVersion}`,
    '',
    'Server:',
    ' Containers: 0',
    ` Images: ${facts.images}`,
    ` Server Version: ${cairnVersion} (no daemon)`,
    ' Storage Driver: overlayfs',
    ` Cgroup Version: ${facts.cgroupVersion}`,
    ` Default Runtime: ${facts.sandbox}`,
    ` Kernel Version: ${release()}`,
    ` Operating System: ${facts.operatingSystem}`,
    ' OSType: linux',
    ` Architecture: ${machineNames[arch()] ?? arch()}`,
    ` CPUs: ${facts.cpuCount}`,
    ` Total Memory: ${humanMemory(facts.memoryBytes)}`,
    ` Name: ${hostname()}`,
    ` Docker Root Dir: ${store.root}`,
    ` Node Version: ${process.version}`,
  ].join('\n');
}

function document(facts: Facts, store: OpenStore): GoStruct {
  const entries: Readonly<Record<string, string | number | boolean>> = {
    ID: '',
    Containers: 0,
    ContainersRunning: 0,
    ContainersPaused: 0,
    ContainersStopped: 0,
    Images: facts.images,
    Driver: 'overlayfs',
    MemoryLimit: false,
    SwapLimit: false,
    IPv4Forwarding: true,
    Debug: false,
    LoggingDriver: '',
    CgroupDriver: 'none',
    CgroupVersion: facts.cgroupVersion,
    KernelVersion: release(),
    OperatingSystem: facts.operatingSystem,
    OSVersion: '',
    OSType: 'linux',
    Architecture: machineNames[arch()] ?? arch(),
    IndexServerAddress: '',
    NCPU: facts.cpuCount,
    MemTotal: facts.memoryBytes,
    DockerRootDir: store.root,
    HttpProxy: '',
    HttpsProxy: '',
    NoProxy: '',
    Name: hostname(),
    ExperimentalBuild: false,
    ServerVersion: cairnVersion,
    DefaultRuntime: facts.sandbox,
    LiveRestoreEnabled: false,
  };
  const empty = (name: string) => ({ name, value: new GoNil('slice', '[]string') });
  const client = new GoStruct('system.clientInfo', [
    { name: 'Debug', value: false },
    { name: 'Version', value: cairnVersion },
    { name: 'Context', value: 'default' },
    empty('Plugins'),
    empty('Warnings'),
  ]);
  return new GoStruct('system.dockerInfo', [
    ...Object.entries(entries).map(([name, value]) => ({ name, value })),
    empty('Labels'),
    empty('SecurityOptions'),
    empty('Warnings'),
    { name: 'ClientInfo', value: client },
  ]);
}
