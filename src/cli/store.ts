import { InvalidArgumentError, type Command } from 'commander';
import { StoreError } from '../store/errors.js';
import { foldNames } from '../node/fold.js';
import type { HeldGarbage } from '../store/records.js';
import type { Context } from './context.js';
import { formatTime } from './table.js';

/** `store verify` and `gc`: proves and cleans what the site keeps. */
export function registerStore(program: Command, context: Context): void {
  const store = program.command('store').description('look after the blobs of this site');
  store
    .command('verify')
    .description('re-read every blob and compare it with its name')
    .addHelpText('after', '\nExamples:\n  rackboot store verify\n  rackboot --json store verify')
    .action(() => verify(context));
  program
    .command('gc')
    .description('remove what no generation, node or running command needs')
    .option('-n, --dry-run', 'only say what would be removed')
    .option('--keep <n>', 'also drop all but the newest N generations of each osimage', parseCount)
    .addHelpText(
      'after',
      `
Current generations, and those a node is set to or still fetches, are always kept.

Examples:
  rackboot gc --dry-run
  rackboot gc --keep 5`,
    )
    .action((options: { dryRun?: boolean; keep?: number }) => collect(context, options));
}

async function verify(context: Context): Promise<void> {
  const { store } = await context.openStore();
  let tenths = 0;
  const result = await store.verify((done, total) => {
    const now = Math.floor((done / total) * 10);
    if (now > tenths) context.note(`verified ${now * 10} % of ${size(total)}`);
    tenths = Math.max(tenths, now);
  });
  context.print(result, () =>
    [
      ...result.problems.map(
        ({ pack, blob, problem }) => `${pack}${blob === null ? '' : ` blob ${blob}`}: ${problem}`,
      ),
      `${result.blobs} blobs, ${size(result.bytes)}: ${result.problems.length === 0 ? 'all whole' : 'damaged'}`,
    ].join('\n'),
  );
  if (result.problems.length > 0) {
    throw new StoreError(
      'PACK_DAMAGED',
      `${result.problems.length} of the store's blobs and packs are damaged; put the files named above back from a backup.`,
    );
  }
}

async function collect(context: Context, options: { dryRun?: boolean; keep?: number }): Promise<void> {
  const dryRun = options.dryRun === true;
  const { store } = await context.openStore();
  const result = await store.gc({ ...options, dryRun });
  const verb = dryRun ? 'would remove' : 'removed';
  context.print({ ...result, dryRun }, () =>
    [
      `${verb} ${result.generations} generations, ${result.blobs} blobs and ${result.files} files: ${size(result.bytes)}`,
      ...result.held.map(describeHeld),
    ].join('\n'),
  );
}

function describeHeld({ osimage, id, bytes, holders }: HeldGarbage): string {
  const named = (kind: HeldGarbage['holders'][number]['kind']): string[] =>
    holders.filter((lease) => lease.kind === kind).map((lease) => lease.holder);
  const commands = holders.filter((lease) => lease.kind === 'read');
  const nodes = named('boot');
  const servers = named('transfer');
  const who = [
    ...commands.map(({ holder, pid }) => (pid === null ? holder : `${holder} (process ${pid})`)),
    ...(nodes.length === 0 ? [] : [`${foldNames(nodes)} (booting)`]),
    ...servers.map((server) => `the server ${server} (sending)`),
  ];
  const timed = holders.filter((lease) => lease.kind !== 'read');
  const when = [
    ...(commands.length === 0 ? [] : ['once that command has ended']),
    ...(timed.length === 0
      ? []
      : [`after ${formatTime(Math.max(...timed.map((lease) => lease.expiresAt)))}`]),
  ];
  return `kept ${size(bytes)} of ${osimage}@${id.slice(0, 12)} that ${who.join(', ')} still reads; it is free ${when.join(' and ')}`;
}

function parseCount(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('It must be a whole number, 0 or more.');
  return Number(text);
}

/** Bytes in the largest binary unit that leaves a figure of at least one. */
function size(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), units.length - 1);
  return power === 0 ? `${bytes} bytes` : `${(bytes / 1024 ** power).toFixed(1)} ${units[power] ?? ''}`;
}
