import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    projects: [
      {
        // Pure and file-system tests: no root, no peers, no network. Seconds.
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/system/**'],
          pool: 'forks',
          isolate: false,
          // CI shares its two CPUs with dockerd and registries: a test that fails is tried once more before it counts.
          retry: process.env.CI === 'true' ? 1 : 0,
          testTimeout: 60_000,
        },
      },
      {
        // Real mounts, runtimes and peers (dockerd, podman, skopeo, umoci): one file at a time.
        test: {
          name: 'system',
          include: ['test/system/**/*.test.ts'],
          pool: 'forks',
          fileParallelism: false,
          retry: process.env.CI === 'true' ? 1 : 0,
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
});
