import { mkdirSync, statSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { AgentRelay, RequestFilter } from '../../src/builder/mounts/agent-relay.ts';
import { scratchFolder } from '../support/scratch.ts';

/** A message of the agent protocol: its length, its type, its contents. */
function message(type: number, contents = ''): Buffer {
  const body = Buffer.concat([Buffer.from([type]), Buffer.from(contents)]);
  const head = Buffer.alloc(4);
  head.writeUInt32BE(body.length);
  return Buffer.concat([head, body]);
}

const refused = Buffer.from([0, 0, 0, 1, 255]);

test.each([
  ['listing keys passes', [message(11)], message(11)],
  ['signing passes', [message(13, 'data')], message(13, 'data')],
  ['adding a key is refused', [message(17, 'key')], refused],
  ['removing one key is refused', [message(18, 'key')], refused],
  ['removing all keys is refused', [message(19)], refused],
  ['locking is refused', [message(22, 'pass')], refused],
  ['an extension is refused', [message(27, 'session-bind@openssh.com')], refused],
  [
    'the order is kept',
    [Buffer.concat([message(11), message(19), message(13, 'x')])],
    Buffer.concat([message(11), refused, message(13, 'x')]),
  ],
  [
    'pieces are put together',
    [...message(13, 'data')].map((byte) => Buffer.from([byte])),
    message(13, 'data'),
  ],
])('of what a command asks of an agent, %s', (_, chunks, expected) => {
  const filter = new RequestFilter();
  expect(Buffer.concat(chunks.map((chunk) => filter.push(chunk) ?? Buffer.from('ended')))).toEqual(expected);
});

test.each([
  ['an empty message', Buffer.from([0, 0, 0, 0, 11])],
  ['a message larger than an agent takes', Buffer.from([0, 4, 0, 1, 11])],
])('%s ends the connection', (_, bytes) => {
  expect(new RequestFilter().push(bytes)).toBeNull();
});

test('a relay in a folder deeper than a socket address can say has the mode asked for and leads to the agent', async () => {
  const folder = join(scratchFolder(), 'deep'.repeat(30), 'er'.repeat(40));
  mkdirSync(folder, { recursive: true });
  const agent = join(scratchFolder(), 'agent');
  const server = createServer((socket) => socket.on('data', (chunk) => socket.end(`heard ${chunk.length}`)));
  await new Promise<void>((resolve) => server.listen(agent, resolve));
  onTestFinished(() => void server.close());
  const { uid, gid } = statSync(agent);
  const relay = await AgentRelay.open({ agent, folder, mode: 0o640, uid, gid });
  const { mode } = statSync(relay.path);
  expect(mode & 0o777).toBe(0o640);
  const answer = await new Promise<string>((resolve, reject) => {
    // The address of a client may have 107 bytes too.
    const here = process.cwd();
    process.chdir(folder);
    const client = createConnection('agent', () => client.write(message(11)));
    process.chdir(here);
    client.setEncoding('utf8').once('data', resolve).once('error', reject);
  });
  expect(answer).toBe('heard 5');
  relay.close();
  await expect.poll(() => statSync(relay.path, { throwIfNoEntry: false })).toBeUndefined();
});
