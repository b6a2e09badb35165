import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { parseNode } from '../../../src/node/nodes.js';
import { credentialsOf, readCredentials } from '../../../src/node/power/credentials.js';
import { PowerError } from '../../../src/node/power/errors.js';

async function fileOf(t: ExecutionContext, text: string, mode = 0o600): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'rackboot-credentials-'));
  t.teardown(() => rm(dir, { recursive: true }));
  const file = join(dir, 'passwords.yaml');
  await writeFile(file, text);
  await chmod(file, mode);
  return file;
}

const node = (name: string, groups: string[] = [], attributes: Record<string, string> = {}) =>
  parseNode({ name, macs: ['52:54:00:00:00:01'], groups, attributes });

const SITE = `
default: { username: ADMIN, password: most }
groups:
  rack1: { password: racked }
  rack2: { username: rooted, password: two }
nodes:
  n7: { username: root, password: own }
  n8: { username: only }
  n9: { password: '0123' }
`;

const cases: readonly (readonly [string, ReturnType<typeof node>, string, string])[] = [
  ['the default', node('n1'), 'ADMIN', 'most'],
  ['the default with the node’s own user', node('n1', [], { bmcusername: 'me' }), 'me', 'most'],
  ['its group', node('n2', ['rack1']), 'ADMIN', 'racked'],
  ['its group with the node’s own user', node('n2', ['rack1'], { bmcusername: 'me' }), 'me', 'racked'],
  ['its group’s', node('n3', ['rack2']), 'rooted', 'two'],
  ['the node’s user before its group’s', node('n3', ['rack2'], { bmcusername: 'me' }), 'me', 'two'],
  ['the first of its groups in the file', node('n3', ['rack2', 'rack1']), 'rooted', 'racked'],
  ['its own', node('n7', ['rack2'], { bmcusername: 'me' }), 'root', 'own'],
  ['its own user and its group’s password', node('n8', ['rack1']), 'only', 'racked'],
  ['its own password', node('n9', ['rack2']), 'rooted', '0123'],
];
for (const [what, record, username, password] of cases) {
  test(`who logs in: ${what}`, async (t) => {
    const file = await readCredentials(await fileOf(t, SITE));
    t.deepEqual(credentialsOf(record, file), { username, password });
  });
}

test('a node of which none is known', async (t) => {
  const none = await readCredentials(await fileOf(t, 'groups: { rack1: { password: x } }'));
  for (const [record, file, mend] of [
    [node('n1'), undefined, /name it in rackboot\.yaml as power\.credentials/],
    [node('n1'), none, /add nodes\.n1, one of its groups, or default/],
    [node('n1', ['rack1']), none, /--attr bmcusername=USER/],
    [node('constructor'), none, /add nodes\.constructor/],
  ] as const) {
    const error = t.throws(() => credentialsOf(record, file), { instanceOf: PowerError });
    t.is(error.code, 'NO_CREDENTIALS');
    t.regex(error.message, mend);
  }
});

for (const mode of [0o640, 0o604, 0o660, 0o644]) {
  test(`a file of mode ${mode.toString(8)} is refused`, async (t) => {
    const file = await fileOf(t, SITE, mode);
    const error = await t.throwsAsync(readCredentials(file), { instanceOf: PowerError });
    t.is(error.code, 'BAD_CREDENTIALS');
    t.is(error.message, `${file}: others may read these passwords; run: chmod 600 ${file}`);
  });
}

const bad: readonly (readonly [string, string, RegExp])[] = [
  ['no YAML', 'default:\n  password: "hush-3141\n', /:\d+: this is no YAML/],
  [
    'a key twice',
    'default: { username: a, password: hush-3141, username: b }\n',
    /:1: a key that its map has already; keep one/,
  ],
  [
    'a password that is a number',
    'default: { password: 3141592 }',
    /default\.password is not as it should be/,
  ],
  ['an unknown key', 'nodes:\n  n1: { pasword: hush-3141 }', /nodes\.n1 is not as it should be/],
  ['a list', '- hush-3141', /the file is not as it should be/],
];
for (const [what, text, message] of bad) {
  test(`a file that cannot be understood says nothing of what is in it: ${what}`, async (t) => {
    const error = await t.throwsAsync(readCredentials(await fileOf(t, text)), { instanceOf: PowerError });
    t.is(error.code, 'BAD_CREDENTIALS');
    t.regex(error.message, message);
    t.notRegex(error.message, /hush|3141/);
    t.false(error.message.includes('\n'));
  });
}

test('a file that is not there, and an empty one', async (t) => {
  const missing = await t.throwsAsync(readCredentials('/nonexistent/passwords'), { instanceOf: PowerError });
  t.regex(missing.message, /cannot be read \(ENOENT\); power\.credentials in rackboot\.yaml names it/);
  t.deepEqual(await readCredentials(await fileOf(t, '')), { groups: {}, nodes: {} });
});
