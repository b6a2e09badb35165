import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import test from 'ava';
import { packageRoot } from '../../src/site/assets.js';
import { newSite } from '../cli/in-process.js';

const exec = promisify(execFile);

/** The `sh` blocks of docs/xcat.md, section by section. */
async function commandsOf(): Promise<{ section: string; lines: string[] }[]> {
  const text = await readFile(join(packageRoot(), 'docs/xcat.md'), 'utf8');
  return text.split(/^## /m).map((part) => ({
    section: part.split('\n', 1)[0] ?? '',
    lines: [...part.matchAll(/^```sh\n(.*?)^```$/gms)].flatMap(([, block = '']) =>
      block.trimEnd().split('\n'),
    ),
  }));
}

/** Sections whose commands take more than a database of nodes: other tests run them. */
const ELSEWHERE = /^(?:Images|Power|The plugin)/i;

const nodeNames = [
  'n1',
  'n2',
  ...[1, 2, 3, 4].flatMap((rack) =>
    Array.from({ length: 32 }, (_, n) => `rack${rack}n${String(n + 1).padStart(2, '0')}`),
  ),
];

/** What lsdef, tabdump and xCAT's /tftpboot hold of a small site. */
async function xcatFiles(dir: string): Promise<void> {
  const stanzas = nodeNames.map(
    (name, at) => `
${name}:
    objtype=node
    arch=x86_64
    groups=all,${/^rack\d/.exec(name)?.[0] ?? 'loose'}
    ip=10.1.${Math.floor(at / 200)}.${(at % 200) + 1}
    mac=52:54:00:00:00:${at.toString(16).padStart(2, '0')}
    mgt=ipmi
    os=rocky9.4
    provmethod=d12
    xcatmaster=10.1.0.254
`,
  );
  const header = '# <xCAT data object stanza file>\n';
  await writeFile(join(dir, 'nodes.stanza'), header + stanzas.join(''));
  await writeFile(
    join(dir, 'groups.stanza'),
    `${header}\nx86:\n    objtype=group\n    grouptype=dynamic\n    members=dynamic\n    wherevals=arch==x86_64\n`,
  );
  await writeFile(
    join(dir, 'osimages.stanza'),
    `${header}\nd12:\n    objtype=osimage\n    profile=login\n\nnone:\n    objtype=osimage\n    profile=x\n`,
  );
  const tables: Record<string, string> = {
    nodelist: '#node,groups,comments,disable\n"n1","all,loose",,\n"n2","all,loose",,\n',
    mac: '#node,interface,mac,comments,disable\n"n1",,"52:54:00:00:00:00",,\n',
    hosts: '#node,ip,hostnames,otherinterfaces,comments,disable\n"loose","|n(\\d+)|10.1.0.($1+0)|",,,,\n',
    noderes: '#node,netboot,installnic,comments,disable\n"loose","xnba","mac",,\n',
    nodehm: '#node,mgt,serialport,serialspeed,comments,disable\n"loose","ipmi","0","115200",,\n',
  };
  await mkdir(join(dir, 'xcatdb'));
  for (const [table, text] of Object.entries(tables)) {
    await writeFile(join(dir, `${table}.csv`), text);
    await writeFile(join(dir, 'xcatdb', `${table}.csv`), text);
  }
  await mkdir(join(dir, 'tftpboot'));
  await writeFile(join(dir, 'tftpboot', 'genesis.kernel.x86_64'), 'a kernel');
  const { stdout } = await exec(
    'bash',
    ['-c', 'cd "$1" && echo nodes.stanza | cpio -o -H newc 2>/dev/null', '-', dir],
    {
      encoding: 'buffer',
    },
  );
  await writeFile(join(dir, 'tftpboot', 'genesis.fs.x86_64.gz'), gzipSync(stdout));
  const rootimgdir = join(dir, 'install/netboot/rocky9.4/x86_64/compute');
  await mkdir(rootimgdir, { recursive: true });
  await writeFile(join(rootimgdir, 'kernel'), 'a kernel');
  for (const name of ['initrd-stateless.gz', 'rootimg.cpio.gz'])
    await writeFile(join(rootimgdir, name), gzipSync(stdout));
  await writeFile(join(dir, 'ntp.conf'), 'server 10.1.0.254\n');
}

test('every command of docs/xcat.md runs, one after the other', async (t) => {
  const { dir, rackboot } = await newSite(t);
  const work = join(dir, '..');
  await xcatFiles(work);
  const layer = join(dir, 'layers/mykickstart');
  await mkdir(layer, { recursive: true });
  await writeFile(join(layer, 'answerfile.liquid'), 'url --url {{ tree }}\n# {{ xcat.persistent }}\n');
  const media = ['image', 'import', join(work, 'tftpboot'), '--kernel', 'genesis.kernel.x86_64'];
  t.is((await rackboot(...media, '--initrd', 'genesis.fs.x86_64.gz', '--name', 'rocky9')).status, 0);
  const program = join(packageRoot(), 'dist/src/cli/main.js');
  const shell = `rackboot() { "${process.execPath}" "${program}" --site "${dir}" "$@"; }\n`;
  let count = 0;
  for (const { section, lines } of await commandsOf()) {
    if (ELSEWHERE.test(section)) continue;
    for (const line of lines) {
      const here = line
        .replaceAll('/root/xcatdb', join(work, 'xcatdb'))
        .replaceAll('/tftpboot/xcat', join(work, 'tftpboot'))
        .replaceAll('/install/netboot', join(work, 'install/netboot'));
      await t.notThrowsAsync(
        exec('bash', ['-c', shell + here], { cwd: work, timeout: 120_000 }),
        `${section}: ${line}`,
      );
      count++;
    }
  }
  t.true(count > 30, `${count} commands`);
  t.regex((await rackboot('nodeset', 'rack1n01', 'stat')).out, /^rack1n01: install debian12-x86_64-login\n$/);
});
