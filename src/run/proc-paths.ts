/**
 * What Docker hides in `/proc` and `/sys`: a directory under an empty read-only tmpfs, a file under /dev/null.
 * Paths that this kernel lacks are skipped.
 */
export const maskedPaths: readonly string[] = [
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
];

/** Hidden as well from a command that must not see which machine it runs on: serial numbers and the like. */
export const machinePaths: readonly string[] = ['/sys/devices/virtual/dmi'];

/** Drawn at random when the machine starts. */
export const bootIdPath = '/proc/sys/kernel/random/boot_id';

/** What Docker leaves visible but read-only. */
export const readOnlyPaths: readonly string[] = [
  '/proc/bus',
  '/proc/fs',
  '/proc/irq',
  '/proc/sys',
  '/proc/sysrq-trigger',
];
