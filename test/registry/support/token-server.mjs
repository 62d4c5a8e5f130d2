// distribution's token authentication: signs what its one user asks for. A process of its own, since tests wait for the programs
// that ask it. Usage: node token-server.mjs FOLDER (with server.key and server.crt); prints its port.
import { createSign, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';

const [, , folder] = process.argv;
const key = readFileSync(join(folder, 'server.key'), 'utf8');
const certificate = readFileSync(join(folder, 'server.crt'), 'utf8').replace(/-----[^-]+-----|\s/g, '');
const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

const server = createServer((request, response) => {
  if (request.headers.authorization !== `Basic ${Buffer.from('tester:secret').toString('base64')}`) {
    response.writeHead(401).end();
    return;
  }
  const { searchParams } = new URL(request.url, 'http://x');
  const access = searchParams
    .getAll('scope')
    .flatMap((scope) => scope.split(' '))
    .map((scope) => /^(\w+):(.+):([\w,*]+)$/.exec(scope))
    .flatMap((match) =>
      match === null ? [] : [{ type: match[1], name: match[2], actions: match[3].split(',') }],
    );
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss: 'test',
    sub: 'tester',
    aud: 'registry',
    exp: now + 300,
    nbf: now - 10,
    iat: now,
    jti: randomUUID(),
    access,
  };
  const text = `${encode({ typ: 'JWT', alg: 'RS256', x5c: [certificate] })}.${encode(claims)}`;
  const token = `${text}.${createSign('RSA-SHA256').update(text).sign(key, 'base64url')}`;
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ token, access_token: token, expires_in: 300 }));
});
server.listen(0, '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`));
