import { CairnError } from '../errors/index.ts';

/** An image's platform (image-spec image-index.md, "platform"). */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
  readonly 'os.version'?: string;
}

const architectureAliases: Readonly<Record<string, readonly [string, string?]>> = {
  x86_64: ['amd64'],
  'x86-64': ['amd64'],
  x64: ['amd64'],
  aarch64: ['arm64'],
  armhf: ['arm', 'v7'],
  armel: ['arm', 'v6'],
  i386: ['386'],
  i686: ['386'],
  ia32: ['386'],
};

/**
 * Reads `os[/arch[/variant]]` or a lone architecture, normalised as containerd does: `aarch64` is
 * `arm64`, `arm64/v8` is `arm64`, `arm` is `arm/v7`, an omitted part is the host's.
 * @throws {CairnError} USAGE
 */
export function parsePlatform(text: string, host: Platform): Platform {
  const parts = text.toLowerCase().split('/');
  if (text === '' || parts.length > 3 || parts.some((part) => !/^[a-z0-9_.-]+$/.test(part)))
    throw new CairnError('USAGE', {
      message: `"${text}" is not a platform`,
      help: 'a platform is os/architecture[/variant], for example linux/amd64',
      exitCode: 2,
    });
  const knownOs = ['linux', 'windows', 'darwin', 'freebsd'];
  const [first = '', second, third] = parts;
  if (second === undefined) {
    if (knownOs.includes(first)) return normalizePlatform({ ...host, os: first });
    return normalizePlatform({ os: host.os, architecture: first });
  }
  return normalizePlatform({ os: first, architecture: second, ...(third ? { variant: third } : {}) });
}

/** Canonical architecture and variant names. */
export function normalizePlatform(platform: Platform): Platform {
  const os = platform.os === 'macos' ? 'darwin' : platform.os;
  const [architecture, impliedVariant] = architectureAliases[platform.architecture] ?? [
    platform.architecture,
  ];
  let variant = platform.variant ?? impliedVariant;
  if (architecture === 'arm64' && (variant === '8' || variant === 'v8')) variant = undefined;
  if (architecture === 'amd64' && variant === 'v1') variant = undefined;
  if (architecture === 'arm' && variant === undefined) variant = 'v7';
  if (architecture === 'arm' && variant && /^\d$/.test(variant)) variant = `v${variant}`;
  const osVersion = platform['os.version'];
  return {
    os,
    architecture,
    ...(variant ? { variant } : {}),
    ...(osVersion ? { 'os.version': osVersion } : {}),
  };
}

/** `linux/amd64`, `linux/arm/v7`. */
export function formatPlatform(platform: Platform): string {
  return [platform.os, platform.architecture, platform.variant].filter(Boolean).join('/');
}

/** The platform of this machine, from Node's names for architectures. */
export function hostPlatform(): Platform {
  const names: Record<string, string> = { x64: 'amd64', ia32: '386', ppc64: 'ppc64le', mipsel: 'mipsle' };
  return normalizePlatform({ os: 'linux', architecture: names[process.arch] ?? process.arch });
}

/** True when both name the same platform after normalisation (os.version aside). */
export function samePlatform(a: Platform, b: Platform): boolean {
  return formatPlatform(normalizePlatform(a)) === formatPlatform(normalizePlatform(b));
}
