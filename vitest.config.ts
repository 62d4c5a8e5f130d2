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
          testTimeout: 30_000,
        },
      },
      {
        // Real mounts, runtimes and peers (dockerd, podman, skopeo, umoci): one file at a time.
        test: {
          name: 'system',
          include: ['test/system/**/*.test.ts'],
          pool: 'forks',
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
});
