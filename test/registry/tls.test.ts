import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { describe, expect, onTestFinished, test } from 'vitest';
import { readHostCertificates } from '../../src/registry/hosts/host-certificates.ts';
import { Transport } from '../../src/registry/http/index.ts';
import { scratchFolder } from '../support/scratch.ts';
import { skipBecause, unlessInstalled } from '../support/skip-because.ts';
import { makeCertificate } from './support/real-registry.ts';

describe('TLS', () => {
  skipBecause(unlessInstalled('openssl'));

  /** A server that says whose certificate the client has shown. */
  async function start(options: { readonly wantsClient: boolean }) {
    const folder = scratchFolder();
    makeCertificate(folder);
    const read = (name: string) => readFileSync(join(folder, name));
    const server = createServer(
      {
        key: read('server.key'),
        cert: read('server.crt'),
        ca: read('ca.crt'),
        requestCert: options.wantsClient,
        rejectUnauthorized: options.wantsClient,
      },
      (request, response) => {
        const subject = (request.socket as TLSSocket).getPeerCertificate().subject as
          | { CN?: string }
          | undefined;
        response.end(subject?.CN ?? 'nobody');
      },
    );
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    onTestFinished(() => void server.close());
    return { folder, host: `127.0.0.1:${(server.address() as AddressInfo).port}` };
  }

  /** Asks the server, with what lies in certs.d. */
  async function ask(host: string, folders: readonly string[], isVerified = true): Promise<string> {
    const tls = readHostCertificates(host, { folders, env: { SSL_CERT_FILE: '/nonexistent' }, isVerified });
    const transport = new Transport({ env: {}, tlsFor: () => tls });
    try {
      const response = await transport.send({ method: 'GET', url: new URL(`https://${host}/`), headers: {} });
      return (await response.body.bytes(1000)).toString();
    } finally {
      await transport.close();
    }
  }

  function certs(host: string, files: Readonly<Record<string, string>>): string {
    const folder = scratchFolder();
    mkdirSync(join(folder, host));
    for (const [name, from] of Object.entries(files)) copyFileSync(from, join(folder, host, name));
    return folder;
  }

  test('trusts the authority in certs.d of that very host, and nothing else', async () => {
    const { folder, host } = await start({ wantsClient: false });
    const ca = join(folder, 'ca.crt');
    expect(await ask(host, [certs(host, { 'ca.crt': ca })])).toBe('nobody');
    await expect(ask(host, [])).rejects.toThrow();
    await expect(ask(host, [certs('127.0.0.1:1', { 'ca.crt': ca })])).rejects.toThrow();
    expect(await ask(host, [], false)).toBe('nobody');
  });

  test("shows the client's own certificate where there is one", async () => {
    const { folder, host } = await start({ wantsClient: true });
    const files = {
      'ca.crt': join(folder, 'ca.crt'),
      'me.cert': join(folder, 'client.crt'),
      'me.key': join(folder, 'client.key'),
    };
    expect(await ask(host, [certs(host, files)])).toBe('client');
    await expect(ask(host, [certs(host, { 'ca.crt': files['ca.crt'] })])).rejects.toThrow();
  });
});
