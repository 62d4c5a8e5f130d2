import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll } from 'vitest';

/** Stands before a registry and writes down what is asked for. */
export interface CountingProxy {
  readonly host: string;
  /** `METHOD path`, oldest first; emptied by `take`. */
  take(): readonly string[];
  /** Damages the bodies of blobs for which it says true. */
  damage(choose: (path: string) => boolean): void;
}

/** Starts a proxy for the registry at `target` (`127.0.0.1:PORT`) until the tests of the calling file are over. */
export async function countingProxy(target: string): Promise<CountingProxy> {
  let log: string[] = [];
  let isDamaged: (path: string) => boolean = () => false;
  const [hostname = '', port = ''] = target.split(':');
  const server = createServer((incoming, outgoing) => {
    const { method = '', url = '', headers } = incoming;
    log.push(`${method} ${url}`);
    const onward = request({ hostname, port, method, path: url, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.on('data', (chunk: Buffer) => {
        if (method === 'GET' && isDamaged(url)) chunk[chunk.length - 1] = (chunk.at(-1) ?? 0) ^ 1;
        outgoing.write(chunk);
      });
      answer.on('end', () => outgoing.end());
    });
    onward.on('error', () => outgoing.destroy());
    incoming.pipe(onward);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    take: () => {
      const taken = log;
      log = [];
      return taken;
    },
    damage: (choose) => {
      isDamaged = choose;
    },
  };
}
