import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { judgeHostKey, knownKeyTypes } from '../../src/ssh/known-hosts.js';

/** A public key's blob as a known_hosts file has it: the type, then bytes. */
function keyOf(type: string, seed: number): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(type.length);
  return Buffer.concat([length, Buffer.from(type), Buffer.alloc(32, seed)]);
}

const ED = keyOf('ssh-ed25519', 1);
const OTHER = keyOf('ssh-ed25519', 2);
const line = (hosts: string, key = ED, marker = ''): string =>
  `${marker}${hosts} ssh-ed25519 ${key.toString('base64')} comment`;

const CASES: readonly (readonly [what: string, text: string, host: string, port: number, verdict: string])[] =
  [
    ['by name', line('rack1'), 'rack1', 22, 'trusted'],
    ['upper case is the same name', line('rack1'), 'RACK1', 22, 'trusted'],
    ['in a list', line('a,rack1,10.0.0.1'), '10.0.0.1', 22, 'trusted'],
    ['no such host', line('rack1'), 'rack2', 22, 'unknown'],
    ['an empty file', '', 'rack1', 22, 'unknown'],
    ['a comment', `# ${line('rack1')}`, 'rack1', 22, 'unknown'],
    ['another port is another host', line('rack1'), 'rack1', 2222, 'unknown'],
    ['its port', line('[rack1]:2222'), 'rack1', 2222, 'trusted'],
    ['wildcards', line('rack?,n*.example'), 'n12.example', 22, 'trusted'],
    ['a dot is a dot', line('n.example'), 'nxexample', 22, 'unknown'],
    ['all but one', line('*,!rack1'), 'rack1', 22, 'unknown'],
    ['another key', line('rack1', OTHER), 'rack1', 22, 'changed known:1'],
    ['one of two keys', `${line('rack1', OTHER)}\n${line('rack1')}`, 'rack1', 22, 'trusted'],
    [
      'a key of another type',
      `rack1 ssh-rsa ${keyOf('ssh-rsa', 3).toString('base64')}`,
      'rack1',
      22,
      'unknown',
    ],
    ['revoked', line('*', ED, '@revoked '), 'rack1', 22, 'revoked known:1'],
    ['revoked, and known', `${line('rack1')}\n${line('*', ED, '@revoked ')}`, 'rack1', 22, 'revoked known:2'],
    ['an authority is no host', line('*', ED, '@cert-authority '), 'rack1', 22, 'unknown'],
    ['half a line', 'rack1 ssh-ed25519', 'rack1', 22, 'unknown'],
    ['a hash that is none', line('|1|x'), 'rack1', 22, 'unknown'],
  ];

for (const [what, text, host, port, wanted] of CASES) {
  test(`${what}: ${wanted}`, (t) => {
    const verdict = judgeHostKey([{ name: 'known', text }], { host, port }, ED);
    t.is('where' in verdict ? `${verdict.kind} ${verdict.where}` : verdict.kind, wanted);
  });
}

test('hashed names are those that ssh-keygen -H makes', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'rackboot-known-'));
  try {
    const file = join(dir, 'known_hosts');
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(dir, 'key')]);
    const [type = '', blob = ''] = (await readFile(join(dir, 'key.pub'), 'utf8')).split(' ');
    await writeFile(file, `rack1 ${type} ${blob}\n[rack2]:2222 ${type} ${blob}\n`);
    execFileSync('ssh-keygen', ['-q', '-H', '-f', file], { stdio: 'ignore' });
    const files = [{ name: 'known', text: await readFile(file, 'utf8') }];
    t.notRegex(files[0]?.text ?? '', /rack/);
    const key = Buffer.from(blob, 'base64');
    t.is(judgeHostKey(files, { host: 'rack1', port: 22 }, key).kind, 'trusted');
    t.is(judgeHostKey(files, { host: 'rack2', port: 2222 }, key).kind, 'trusted');
    t.is(judgeHostKey(files, { host: 'rack2', port: 22 }, key).kind, 'unknown');
    t.deepEqual(knownKeyTypes(files, { host: 'rack1', port: 22 }), ['ssh-ed25519']);
  } finally {
    await rm(dir, { recursive: true });
  }
});
