import { spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Engine } from '../compare/engine.ts';
import { temporaryFolder } from '../compare/fixture.ts';

/** A podman with a store of its own. `close` removes it. */
export function podmanEngine(): Engine & { close(): void } {
  const folder = temporaryFolder('cairn-podman-');
  const conf = join(folder, 'containers.conf');
  // Limits that a confined root may set; its defaults are above the hard limits in some sandboxes.
  writeFileSync(
    conf,
    '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n',
  );
  // crun refuses machines that mix both versions of cgroups.
  const runtime = spawnSync('sh', ['-c', 'command -v runc']).status === 0 ? ['--runtime', 'runc'] : [];
  const stores = [
    '--root',
    join(folder, 'root'),
    '--runroot',
    join(folder, 'run'),
    '--storage-driver',
    'overlay',
  ];
  return {
    name: 'podman',
    command: ['podman', ...stores, ...runtime],
    env: { CONTAINERS_CONF: conf },
    buildArgs: [],
    close() {
      spawnSync('umount', [join(folder, 'root/overlay')]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
