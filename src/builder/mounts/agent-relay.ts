import { chmodSync, chownSync, closeSync, constants, openSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';

export interface AgentRelayOptions {
  /** Socket of the agent. */
  readonly agent: string;
  /** A private folder for the relay's socket. */
  readonly folder: string;
  /** Of the relay's socket: who may connect. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

const socketName = 'agent';

/**
 * A socket with attributes of its own that leads to an SSH agent. Commands may list keys and have something signed, nothing else:
 * they can neither remove keys nor lock the agent (as in BuildKit).
 */
export class AgentRelay {
  readonly #server: Server;
  readonly #folderFd: number;
  readonly #sockets = new Set<Socket>();

  /** Path of the relay's socket. */
  readonly path: string;

  private constructor(server: Server, folderFd: number, path: string) {
    this.#server = server;
    this.#folderFd = folderFd;
    this.path = path;
  }

  static async open({ agent, folder, mode, uid, gid }: AgentRelayOptions): Promise<AgentRelay> {
    const server = createServer({ allowHalfOpen: true });
    // A socket's address may have 107 bytes only; a store's folder may lie deeper.
    const folderFd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
    const path = join(folder, socketName);
    const relay = new AgentRelay(server, folderFd, path);
    server.on('connection', (client) => relay.#connect(client, agent));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(`/proc/self/fd/${folderFd}/${socketName}`, resolve);
    });
    chownSync(path, uid, gid);
    chmodSync(path, mode & 0o777);
    return relay;
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    // The socket's file is removed by its address, which the open folder is part of.
    this.#server.close(() => closeSync(this.#folderFd));
  }

  #connect(client: Socket, agent: string): void {
    const upstream = createConnection({ path: agent, allowHalfOpen: true });
    const filter = new RequestFilter();
    for (const socket of [client, upstream]) {
      this.#sockets.add(socket);
      // Either side may go at any time: the other one sees the end of the connection.
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.#sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.on('data', (chunk: Buffer) => {
      const allowed = filter.push(chunk);
      if (allowed === null) client.destroy();
      else if (allowed.length > 0 && !upstream.write(allowed)) {
        client.pause();
        upstream.once('drain', () => client.resume());
      }
    });
    client.on('end', () => upstream.end());
    upstream.pipe(client);
  }
}

// draft-miller-ssh-agent, section 5.1.
const requestIdentities = 11;
const signRequest = 13;
/** A request that every agent answers with a failure: takes the place of a refused one, so that answers keep their order. */
const unknownRequest = Buffer.from([0, 0, 0, 1, 255]);
/** ssh-agent's own limit. */
const maxMessageBytes = 256 << 10;

/** Cuts a stream of agent requests into messages and replaces those that commands may not make. */
export class RequestFilter {
  #rest: Buffer = Buffer.alloc(0);

  /** @returns what to pass on; null when the stream is no agent protocol */
  push(chunk: Uint8Array): Buffer | null {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    const passed: Buffer[] = [];
    while (this.#rest.length >= 5) {
      const length = this.#rest.readUInt32BE(0);
      if (length === 0 || length > maxMessageBytes) return null;
      if (this.#rest.length < 4 + length) break;
      const type = this.#rest[4];
      const isAllowed = type === requestIdentities || type === signRequest;
      passed.push(isAllowed ? this.#rest.subarray(0, 4 + length) : unknownRequest);
      this.#rest = this.#rest.subarray(4 + length);
    }
    return Buffer.concat(passed);
  }
}
