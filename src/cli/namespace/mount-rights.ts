import { readFileSync } from 'node:fs';

/** linux/capability.h: what mounting layers and giving files away takes. */
const needed = { CAP_CHOWN: 0n, CAP_DAC_OVERRIDE: 1n, CAP_SYS_CHROOT: 18n, CAP_SYS_ADMIN: 21n } as const;

/** Whether this process may do what RUN takes: root may, and who has its capabilities. */
export function hasMountRights(): boolean {
  const line = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'));
  const effective = BigInt(`0x${line?.[1] ?? '0'}`);
  return Object.values(needed).every((bit) => ((effective >> bit) & 1n) === 1n);
}
