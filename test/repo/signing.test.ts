import { chmod, cp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import test from 'ava';
import { buildRepository } from '../../src/repo/build.js';
import { filesBelow } from '../../src/repo/files.js';
import { gnupgSigner } from '../../src/repo/signing/gnupg.js';
import { readKeys, verifyDetached } from '../../src/repo/signing/openpgp.js';
import { serviceSigner } from '../../src/repo/signing/service.js';
import { signTree, unsignTree } from '../../src/repo/signing/sign-tree.js';
import { verifyTree, type VerifyReport } from '../../src/repo/verify.js';
import { output } from '../image/programs.js';
import { dnfInstall } from './dnf.js';
import { makePackages, workDirectory } from './rpm-packages.js';
import { keyring } from './signing-keys.js';

const PACKAGES = [
  { name: 'xcp-ng-deps', requires: ['kernel'] },
  { name: 'kernel', version: '4.19+1', files: { '/boot/vmlinuz': 'kernel' } },
];
const FILES = ['xcp-ng-deps-1-1.noarch.rpm', 'kernel-4.19+1-1.noarch.rpm'];
const TREEINFO =
  '[system-v1]\nplatform_name = XCP\nplatform_version = 3.4.0\nproduct_name = XCP-ng\nproduct_version = 8.3.0\n[keys]\nkey1 = RPM-GPG-KEY-vendor\n';

const verify = (dir: string): Promise<VerifyReport> => verifyTree({ files: filesBelow(dir) });

test('a tree that is signed installs with every check on, and no other does', async (t) => {
  const dir = path.join(await workDirectory(t), 'tree');
  const keys = await keyring(t);
  const [site, other] = [
    await keys.make('Site <site@example.test>'),
    await keys.make('Other <other@example.test>'),
  ];
  await makePackages(dir, PACKAGES);
  await keys.signPackages(
    site,
    FILES.map((name) => path.join(dir, name)),
  );
  await writeFile(path.join(dir, '.treeinfo'), TREEINFO.replace(/\[keys\][^]*/, ''));
  await buildRepository({ dir });
  const signer = await gnupgSigner({ key: 'site@example.test', home: keys.home, name: 'site' });
  const signed = await signTree(dir, signer);
  t.like(signed, { fingerprint: site, digest: 'SHA256', keyFile: 'RPM-GPG-KEY-site' });
  t.regex(await readFile(path.join(dir, '.treeinfo'), 'utf8'), /^\[keys\]\nkey1 = RPM-GPG-KEY-site$/m);

  const good = await verify(dir);
  t.deepEqual(good.findings, []);
  t.like(good, {
    packages: 2,
    product: { name: 'XCP-ng', version: '8.3.0' },
    signature: { fingerprint: site },
  });
  const install = (tree: string, key = path.join(dir, 'RPM-GPG-KEY-site')): ReturnType<typeof dnfInstall> =>
    dnfInstall(pathToFileURL(tree).href, pathToFileURL(key).href, ['xcp-ng-deps']);
  const installed = await install(dir);
  t.is(installed.code, 0, installed.stderr);
  t.deepEqual(installed.installed, ['kernel', 'xcp-ng-deps']);

  const spoiled = async (what: (tree: string) => Promise<void>): Promise<string> => {
    const tree = path.join(await workDirectory(t), 'tree');
    await cp(dir, tree, { recursive: true, preserveTimestamps: true });
    await what(tree);
    return tree;
  };
  const repomd = await spoiled(async (tree) => {
    const file = path.join(tree, 'repodata/repomd.xml');
    await writeFile(file, `${await readFile(file, 'utf8')} `);
  });
  t.regex((await verify(repomd)).findings.join('\n'), /changed after it was signed/);
  t.not((await install(repomd)).code, 0);

  const unsigned = await spoiled((tree) => rm(path.join(tree, 'repodata/repomd.xml.asc')));
  t.regex((await verify(unsigned)).findings.join('\n'), /No signature on repository metadata/);
  t.not((await install(unsigned)).code, 0);

  const damaged = await spoiled(async (tree) => {
    const file = path.join(tree, FILES[1]!);
    const bytes = await readFile(file);
    bytes[bytes.length - 10]! ^= 1;
    await writeFile(file, bytes);
  });
  t.regex(
    (await verify(damaged)).findings.join('\n'),
    /kernel-4\.19\+1-1\.noarch\.rpm: not the file that primary means/,
  );
  t.not((await install(damaged)).code, 0);

  const absent = await spoiled((tree) => rm(path.join(tree, FILES[0]!)));
  t.regex((await verify(absent)).findings.join('\n'), /Cannot find valid rpm/);
  t.is(
    (await verifyTree({ files: filesBelow(absent), isLeftOut: (href) => href.startsWith('xcp') })).leftOut,
    1,
  );

  // Metadata by one key, packages by another.
  const mixed = await spoiled((tree) => unsignTree(tree).then(() => undefined));
  const otherSigner = await gnupgSigner({ key: other, home: keys.home, name: 'other' });
  await signTree(mixed, otherSigner, { dropsListed: true });
  const found = (await verify(mixed)).findings;
  t.is(found.length, 1);
  t.regex(
    found[0]!,
    /and 1 more: signed by key …\w+, which the listed key file does not hold: .*Missing key for/,
  );
  t.not((await install(mixed, path.join(mixed, 'RPM-GPG-KEY-other'))).code, 0);
});

test('keys that a tree listed stay beside the signer’s, so that the vendor’s packages install', async (t) => {
  const dir = path.join(await workDirectory(t), 'tree');
  const keys = await keyring(t);
  const [vendor, site] = [await keys.make('Vendor'), await keys.make('Site')];
  await makePackages(dir, PACKAGES);
  await keys.signPackages(
    vendor,
    FILES.map((name) => path.join(dir, name)),
  );
  await writeFile(path.join(dir, '.treeinfo'), TREEINFO);
  await writeFile(path.join(dir, 'RPM-GPG-KEY-vendor'), await keys.publicKey(vendor));
  await buildRepository({ dir });
  const signer = await gnupgSigner({ key: site, home: keys.home, name: 'site' });
  const signed = await signTree(dir, signer, { time: 1 });
  t.deepEqual(
    signed.keys.map(({ fingerprint }) => fingerprint),
    [site, vendor],
  );
  t.deepEqual((await verify(dir)).findings, []);
  const key = path.join(dir, 'RPM-GPG-KEY-site');
  const installed = await dnfInstall(pathToFileURL(dir).href, pathToFileURL(key).href, ['xcp-ng-deps']);
  t.deepEqual(installed.installed, ['kernel', 'xcp-ng-deps'], installed.stderr);

  const all = (): Promise<Buffer[]> =>
    Promise.all(
      ['repodata/repomd.xml.asc', 'RPM-GPG-KEY-site', '.treeinfo'].map((name) =>
        readFile(path.join(dir, name)),
      ),
    );
  const before = await all();
  await signTree(dir, signer, { time: 1 });
  t.deepEqual(await all(), before, 'the same time gives the same bytes');

  await unsignTree(dir);
  await signTree(dir, signer, { time: 1 });
  t.deepEqual(await all(), before, 'and so it does after the signature was taken away');

  t.true(await unsignTree(dir));
  const report = await verify(dir);
  t.deepEqual([report.findings, report.signature], [[], undefined]);
  t.regex(report.notes.join(), /unsigned/);
});

type Step = 'vendor' | 'site' | 'other' | 'remove' | 'only site';

/** What was done to a tree whose vendor signed it, and whose keys installers then find, the signer’s first. */
const SEQUENCES: readonly (readonly [steps: readonly Step[], keys: readonly string[]])[] = [
  [['site'], ['site', 'vendor']],
  [
    ['site', 'site'],
    ['site', 'vendor'],
  ],
  [['remove'], []],
  [
    ['remove', 'site'],
    ['site', 'vendor'],
  ],
  [
    ['remove', 'remove', 'site'],
    ['site', 'vendor'],
  ],
  [
    ['site', 'remove', 'site'],
    ['site', 'vendor'],
  ],
  [
    ['site', 'remove', 'other'],
    ['other', 'site', 'vendor'],
  ],
  [
    ['remove', 'site', 'remove', 'other', 'remove', 'site'],
    ['site', 'other', 'vendor'],
  ],
  [['remove', 'vendor'], ['vendor']],
  [
    ['site', 'vendor'],
    ['vendor', 'site'],
  ],
  [['only site'], ['site']],
  [['site', 'only site', 'remove', 'site'], ['site']],
];

test('whatever the order of signing and unsigning, no key is lost but by request', async (t) => {
  const work = await workDirectory(t);
  const keys = await keyring(t);
  const names = ['vendor', 'site', 'other'] as const;
  const prints = new Map<string, string>();
  for (const name of names) prints.set(await keys.make(name), name);
  const pristine = path.join(work, 'pristine');
  await makePackages(pristine, PACKAGES);
  await writeFile(path.join(pristine, '.treeinfo'), TREEINFO);
  await writeFile(path.join(pristine, 'RPM-GPG-KEY-vendor'), await keys.publicKey('vendor'));
  await keys.signPackages(
    'vendor',
    FILES.map((name) => path.join(pristine, name)),
  );
  await buildRepository({ dir: pristine });
  const signer = (name: string): ReturnType<typeof gnupgSigner> =>
    gnupgSigner({ key: name, home: keys.home, name });
  await signTree(pristine, await signer('vendor'), { time: 1 });

  for (const [at, [steps, expected]] of SEQUENCES.entries()) {
    const dir = path.join(work, String(at));
    await cp(pristine, dir, { recursive: true });
    for (const step of steps) {
      if (step === 'remove') await unsignTree(dir);
      else
        await signTree(dir, await signer(step.replace('only ', '')), {
          time: 1,
          dropsListed: step.startsWith('only'),
        });
    }
    const report = await verify(dir);
    t.deepEqual(
      [report.keys.map(({ fingerprint }) => prints.get(fingerprint)), report.findings],
      [[...expected], steps.includes('only site') ? report.findings : []],
      steps.join(', '),
    );
  }
});

test('a comment in [keys] keeps no key from coming back, and no file outside the tree is read', async (t) => {
  const dir = path.join(await workDirectory(t), 'tree');
  const keys = await keyring(t);
  const [vendor, site] = [await keys.make('Vendor'), await keys.make('Site')];
  await makePackages(dir, PACKAGES);
  await buildRepository({ dir });
  await writeFile(path.join(dir, 'RPM-GPG-KEY-vendor'), await keys.publicKey(vendor));
  await writeFile(path.join(dir, '../outside'), await keys.publicKey(vendor));
  const signer = await gnupgSigner({ key: site, home: keys.home, name: 'site' });
  for (const [lines, expected] of [
    ['# https://xcp-ng.org/keys\n# note: unsigned\n#key1 = RPM-GPG-KEY-vendor', [site, vendor]],
    ['#key1 = ../outside', [site]],
    ['key1 = ../outside', [site]],
  ] as const) {
    await rm(path.join(dir, 'RPM-GPG-KEY-site'), { force: true });
    await writeFile(path.join(dir, '.treeinfo'), TREEINFO.replace('key1 = RPM-GPG-KEY-vendor', lines));
    const signed = await signTree(dir, signer, { time: 1 });
    t.deepEqual(
      signed.keys.map(({ fingerprint }) => fingerprint),
      [...expected],
      lines,
    );
  }
});

test('without a .treeinfo, keys of a key file of the same name stay', async (t) => {
  const dir = await workDirectory(t);
  const keys = await keyring(t);
  const [before, now] = [await keys.make('Before'), await keys.make('Now')];
  await makePackages(dir, PACKAGES);
  await buildRepository({ dir });
  const sign = async (key: string): ReturnType<typeof signTree> =>
    signTree(dir, await gnupgSigner({ key, home: keys.home, name: 'site' }), { time: 1 });
  await sign(before);
  await unsignTree(dir);
  const signed = await sign(now);
  t.deepEqual(
    signed.keys.map(({ fingerprint }) => fingerprint),
    [now, before],
  );
});

test('what signs too weakly, in binary or not at all is refused', async (t) => {
  const dir = await workDirectory(t);
  const keys = await keyring(t);
  const key = await keys.make('Site');
  const publicKey = await keys.publicKey(key);
  const signed = Buffer.from('metadata');
  await writeFile(path.join(dir, 'data'), signed);
  const sign = async (...options: string[]): Promise<Buffer> =>
    output('gpg', [
      `--homedir=${keys.home}`,
      '--batch',
      ...options,
      '--detach-sign',
      '--output=-',
      path.join(dir, 'data'),
    ]);
  t.is(
    (await verifyDetached(signed, await sign('--armor', '--digest-algo=SHA512'), publicKey, 'x')).digest,
    'SHA512',
  );
  const refused = { code: 'BAD_SIGNATURE' };
  await t.throwsAsync(verifyDetached(signed, await sign('--armor', '--digest-algo=SHA1'), publicKey, 'x'), {
    ...refused,
    message: /SHA1/,
  });
  await t.throwsAsync(verifyDetached(signed, await sign(), publicKey, 'x'), {
    ...refused,
    message: /armored/,
  });
  await t.throwsAsync(
    verifyDetached(
      signed,
      Buffer.from('-----BEGIN PGP SIGNATURE-----\n\n-----END PGP SIGNATURE-----\n'),
      publicKey,
      'x',
    ),
    refused,
  );
  await t.throwsAsync(readKeys('no key', 'keys.asc'), { code: 'NO_KEY', message: /keys\.asc/ });
  await t.throwsAsync(gnupgSigner({ key: 'nobody', home: keys.home, name: 'x' }), {
    code: 'NO_KEY',
    message: /nobody/,
  });
  await keys.make('Another');
  await t.throwsAsync(gnupgSigner({ home: keys.home, name: 'x' }), {
    code: 'NO_KEY',
    message: /2 secret keys/,
  });
});

test('a script signs by create-iso’s contract, and what it leaves is checked', async (t) => {
  const work = await workDirectory(t);
  const dir = path.join(work, 'tree');
  const keys = await keyring(t);
  const key = await keys.make('Site');
  await makePackages(dir, PACKAGES);
  await writeFile(path.join(dir, '.treeinfo'), TREEINFO);
  await buildRepository({ dir });
  const script = async (body: string): Promise<{ kind: 'script'; identity: string; program: string }> => {
    const program = path.join(work, 'sign.sh');
    await writeFile(
      program,
      `#!/bin/sh\nset -e\ncd "$1"\nG="gpg --homedir ${keys.home} --batch --quiet"\n${body}\n`,
    );
    await chmod(program, 0o755);
    return { kind: 'script', identity: 'script', program };
  };
  const signs = '$G --yes --armor --detach-sign repodata/repomd.xml';
  const exports = `$G --armor --export ${key} > RPM-GPG-KEY-site`;
  const lists = "sed -i 's/^key1.*/key1 = RPM-GPG-KEY-site/' .treeinfo";
  const signed = await signTree(dir, await script([signs, exports, lists].join('\n')));
  t.like(signed, { fingerprint: key, keyFile: 'RPM-GPG-KEY-site' });
  t.regex(
    (await verify(dir)).findings.join(),
    /not signed, and a key is listed/,
    'the packages are not signed',
  );
  const failed = { code: 'SIGNING_FAILED' };
  await t.throwsAsync(signTree(dir, await script('exit 3')), failed);
  await t.throwsAsync(signTree(dir, await script('true')), { ...failed, message: /did not write/ });
  await t.throwsAsync(signTree(dir, await script(`echo >> repodata/repomd.xml; ${signs}`)), {
    ...failed,
    message: /changed/,
  });
  await buildRepository({ dir });
  await t.throwsAsync(signTree(dir, await script(`${signs}; rm RPM-GPG-KEY-site`)), {
    ...failed,
    message: /no key file/,
  });
  await t.throwsAsync(
    signTree(
      dir,
      await script(`$G --yes --digest-algo SHA1 --armor --detach-sign repodata/repomd.xml; ${exports}`),
    ),
    { code: 'BAD_SIGNATURE', message: /SHA1/ },
  );
});

test('a service signs over HTTPS, given a code that works', async (t) => {
  const work = await workDirectory(t);
  const dir = path.join(work, 'tree');
  const keys = await keyring(t);
  const key = await keys.make('Service');
  await makePackages(dir, PACKAGES);
  await buildRepository({ dir });
  const certificate = [
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-days',
    '1',
    '-subj',
    '/CN=localhost',
    '-addext',
    'subjectAltName=IP:127.0.0.1',
  ];
  await output('openssl', [
    ...certificate,
    '-keyout',
    path.join(work, 'key.pem'),
    '-out',
    path.join(work, 'cert.pem'),
  ]);
  const ca = await readFile(path.join(work, 'cert.pem'), 'utf8');
  let answer: 'sign' | 'junk' | 'redirect' = 'sign';
  const server = createServer(
    { key: await readFile(path.join(work, 'key.pem')), cert: ca },
    (request, response) => {
      void (async () => {
        const chunks: Buffer[] = [];
        for await (const chunk of request) chunks.push(chunk as Buffer);
        if (request.headers.authorization !== 'OTP 123456') return response.writeHead(403).end();
        if (answer === 'redirect') return response.writeHead(302, { location: 'https://127.0.0.1:1/' }).end();
        if (answer === 'junk') return response.end('x'.repeat(100_000));
        const args = [
          `--homedir=${keys.home}`,
          '--batch',
          '--quiet',
          '--armor',
          '--detach-sign',
          '--output=-',
        ];
        return response.end(await output('gpg', args, Buffer.concat(chunks)));
      })();
    },
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => new Promise<void>((resolve) => server.close(() => resolve())));
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/sign`;
  const signer = async (code: string, authority: string | undefined = ca): ReturnType<typeof serviceSigner> =>
    serviceSigner({
      url,
      publicKey: await keys.publicKey(key),
      name: 'site',
      code: () => Promise.resolve(code),
      ...(authority === '' ? {} : { ca: authority }),
    });
  t.like(await signTree(dir, await signer('123456\n')), { fingerprint: key, keyFile: 'RPM-GPG-KEY-site' });
  const failed = { code: 'SIGNING_FAILED' };
  const refusal = await t.throwsAsync(signTree(dir, await signer('000000')), {
    ...failed,
    message: /refused the code/,
  });
  t.false(String(refusal?.stack).includes('000000'));
  await t.throwsAsync(signTree(dir, await signer('123456', '')), { ...failed, message: /certificate/ });
  answer = 'redirect';
  await t.throwsAsync(signTree(dir, await signer('123456')), { ...failed, message: /302/ });
  answer = 'junk';
  await t.throwsAsync(signTree(dir, await signer('123456')), { ...failed, message: /too long/ });
});
