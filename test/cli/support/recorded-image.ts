import type { DiffId, Digest, ImageConfig, ImageId } from '../../../src/oci/index.ts';
import type { ImageRecord } from '../../../src/store/contracts.ts';

const layers = [
  'sha256:31253f934236bd485f9e8f1c3098da80c7e4db269f16552def27894a71f7c276',
  'sha256:3f697ee1ee82e047ab83ce3c36be46f8bd2704bc35192598a5edf0582f07cc79',
  'sha256:29b2bf8d93fc81b7b105be02182d7ea533f4781ce30177453c406485afee4ae5',
] as DiffId[];

const config: ImageConfig = {
  created: '2026-11-24T16:08:08.510426681Z',
  architecture: 'amd64',
  os: 'linux',
  config: {
    User: 'nobody',
    ExposedPorts: { '53/udp': {}, '80/tcp': {} },
    Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'A=b', 'C=d'],
    Entrypoint: ['/bin/echo'],
    Cmd: ['a', 'b'],
    Volumes: { '/d2': {}, '/data': {} },
    WorkingDir: '/w',
    Labels: { '1': 'y', '2': 'z', a: '<x>', b: '1' },
    StopSignal: 'SIGINT',
    ArgsEscaped: true,
    Healthcheck: { Test: ['CMD-SHELL', 'true'], Interval: 5_000_000_000 },
    OnBuild: ['RUN x'],
    Shell: ['/bin/sh', '-ec'],
  },
  rootfs: { type: 'layers', diff_ids: layers },
  history: [{ created_by: 'CMD ["a" "b"]', comment: 'buildkit.dockerfile.v0' }],
};

/** The image on which fixtures/cli/format-templates.json was recorded with Docker 28.5.2. */
export const recordedImage: ImageRecord = {
  id: 'sha256:01478fefc44a78deb54e2b7ce9db076fb2e7b6532ce41ad7ea7d6703394f644b' as ImageId,
  manifestDigest: `sha256:${'a'.repeat(64)}` as Digest,
  manifest: {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: layers[0] as Digest, size: 1 },
    layers: [],
  },
  config,
  tags: ['pp:latest'],
  repoDigests: [],
};
