// Measures rackboot against its peers in one run: `npm run bench -- SUITE…`, nothing: every suite; `net/http`: a part of net.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { benchImage } from './image/suite.js';
import { benchIso } from './iso/suite.js';
import { benchNet, NET_PARTS } from './net/suite.js';
import { benchRepo } from './repo/suite.js';
import { benchXcat } from './xcat/suite.js';
import { machineLine, ratioTable, type Row } from './ratio-table.js';

type Suite = (directory: string, say: (line: string) => void) => Promise<Row[]>;

const SUITES: Readonly<Record<string, Suite>> = {
  image: benchImage,
  iso: benchIso,
  net: benchNet,
  repo: benchRepo,
  xcat: benchXcat,
  ...Object.fromEntries(
    NET_PARTS.map((part): [string, Suite] => [
      `net/${part}`,
      (directory, say) => benchNet(directory, say, [part]),
    ]),
  ),
};

const names =
  process.argv.length > 2 ? process.argv.slice(2) : Object.keys(SUITES).filter((name) => !name.includes('/'));
const unknown = names.filter((name) => SUITES[name] === undefined);
if (unknown.length > 0) {
  process.stderr.write(
    `bench: no suite ${unknown.join(', ')}; there is: ${Object.keys(SUITES).join(', ')}\n`,
  );
  process.exit(2);
}
const directory = await mkdtemp(path.join(process.env['RACKBOOT_BENCH_DIR'] ?? tmpdir(), 'rackboot-bench-'));
try {
  for (const name of names) {
    const rows = await SUITES[name]!(directory, (line) => process.stderr.write(`bench: ${line}\n`));
    process.stdout.write(`${name}, on ${machineLine()}\n\n${ratioTable(rows)}\n`);
  }
} finally {
  await rm(directory, { recursive: true, force: true });
}
