import { fileURLToPath } from 'node:url';
import type { Row } from '../ratio-table.js';
import type { Lab, Running } from './lab.js';
import type { StormReport } from './storm-client.js';

const CLIENT = fileURLToPath(new URL('storm-client.js', import.meta.url));
const MB = 1e6;
const FEW = 10;
const MANY = 1000;
const LOST = 50; // one packet in so many

interface Storm extends StormReport {
  readonly peak: number; // bytes of memory of the server, at most
}

/** Has ten nodes boot at once, then a thousand: DHCP, boot script, kernel, initrd, on a wire that loses packets. */
export async function benchStorm(
  lab: Lab,
  ourServer: () => Promise<Running>,
  say: (line: string) => void,
): Promise<Row[]> {
  await lab.lose(LOST);
  try {
    const few = await storm(lab, ourServer, FEW, say);
    const many = await storm(lab, ourServer, MANY, say);
    const median = many.seconds[Math.floor(many.seconds.length / 2)] ?? NaN;
    const work = `boot storm, ${MANY} nodes, 2 % loss`;
    return [
      {
        work: `${work}: nodes that booted`,
        peer: 'all of them',
        ours: many.seconds.length,
        theirs: MANY,
        unit: 'nodes',
        goal: { least: 1 },
        ...(many.failures[0] === undefined ? {} : { note: many.failures[0] }),
      },
      {
        work: `${work}: the slowest`,
        peer: 'the median node',
        ours: many.seconds.at(-1) ?? NaN,
        theirs: median,
        unit: 's',
        goal: { most: 3 },
        note: `${(many.bytes / 1e9).toFixed(0)} GB in all`,
      },
      {
        work: `${work}: peak memory`,
        peer: `${FEW} nodes`,
        ours: many.peak / MB,
        theirs: few.peak / MB,
        unit: 'MB',
        goal: { most: 1.2 },
      },
    ];
  } finally {
    await lab.lose(0);
  }
}

async function storm(
  lab: Lab,
  ourServer: () => Promise<Running>,
  count: number,
  say: (line: string) => void,
): Promise<Storm> {
  say(`boot storm: ${count} nodes`);
  const server = await ourServer();
  try {
    const { output } = await lab.client.must([process.execPath, CLIENT, String(count)], 20 * 60);
    const report = JSON.parse(output) as StormReport;
    const peak = server.peak();
    const { seconds, failures, refusals } = report;
    say(
      `boot storm: ${seconds.length} booted, in ${seconds.at(-1)?.toFixed(1) ?? '-'} s; ${failures.length} did not; told ${refusals} times to ask again; ${(peak / MB).toFixed(0)} MB`,
    );
    return { ...report, peak };
  } finally {
    await server.stop();
  }
}
