import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import test from 'ava';
import { Admission, BusyError } from '../../../src/pxe/http/admission.js';
import { rackOf } from '../../../src/pxe/http/rack.js';
import { ask, runSite, until } from './running-site.js';

const here = new AbortController().signal;
const soon = () => new Promise((resolve) => setTimeout(resolve, 10));

/** An Admission of `transfers` and one that waits, with a clock that stands still. */
function desk(
  transfers: number,
  waiting = 1,
  waitMs = 60_000,
  perClient = 1000,
): { admission: Admission; clock: { now: number } } {
  const clock = { now: 0 };
  const admission = new Admission(
    { transfers, perClient, waiting, waitMs },
    () => clock.now++,
    () => 0.5,
  );
  return { admission, clock };
}

const racks: readonly (readonly [string, string])[] = [
  ['10.77.3.9', '10.77.0.0/16'],
  ['192.0.2.200', '192.0.2.0/24'],
  ['fd00:77::1', 'fd00:77:0:0::/64'],
  ['fd00:77:0:1:2:3:4:5', 'fd00:77:0:1::/64'],
  ['::1', '0:0:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
];
for (const [client, rack] of racks) {
  test(`${client} is in ${rack}`, (t) => {
    t.is(rackOf(client, [{ network: '10.77.0.0/16' }]), rack);
  });
}

test('who waits goes on when a transfer ends; racks do not wait for each other', async (t) => {
  const { admission } = desk(1);
  const leave = await admission.enter('a', 'n1', here);
  (await admission.enter('b', 'n1', here))();
  const second = admission.enter('a', 'n2', here);
  await t.throwsAsync(admission.enter('a', 'n3', here), {
    instanceOf: BusyError,
    message: /ask again in \d+ s$/,
  });
  leave();
  leave();
  (await second)();
  (await admission.enter('a', 'n4', here))();
});

test('who was refused before takes the place of who came later', async (t) => {
  const { admission } = desk(1);
  const leave = await admission.enter('a', 'n1', here);
  const n2 = admission.enter('a', 'n2', here);
  await t.throwsAsync(admission.enter('a', 'n3', here), { instanceOf: BusyError });
  leave();
  const leave2 = await n2;
  const n4 = admission.enter('a', 'n4', here);
  const n3 = admission.enter('a', 'n3', here);
  await t.throwsAsync(n4, { instanceOf: BusyError });
  leave2();
  (await n3)();
});

test('who waits too long is refused, and who goes away leaves no trace', async (t) => {
  const { admission } = desk(1, 4, 20);
  const leave = await admission.enter('a', 'n1', here);
  const gone = new AbortController();
  const n2 = admission.enter('a', 'n2', gone.signal);
  gone.abort();
  await t.throwsAsync(n2, { instanceOf: BusyError });
  await t.throwsAsync(admission.enter('a', 'n3', here), { instanceOf: BusyError });
  leave();
  (await admission.enter('a', 'n4', here))();
});

test('one address takes its share of a rack and of the line, and no more', async (t) => {
  const { admission } = desk(4, 4, 60_000, 2);
  const greedy = [await admission.enter('a', 'greedy', here), await admission.enter('a', 'greedy', here)];
  const third = admission.enter('a', 'greedy', here);
  const fourth = admission.enter('a', 'greedy', here);
  await t.throwsAsync(admission.enter('a', 'greedy', here), { instanceOf: BusyError });
  const [good, other] = [admission.enter('a', 'n1', here), admission.enter('a', 'n2', here)];
  // Those in line before them wait for one of their own to end; they do not.
  (await good)();
  (await other)();
  greedy[0]?.();
  (await third)();
  greedy[1]?.();
  (await fourth)();
});

test('of a crowd, each is told another time, the later the larger it is', async (t) => {
  let turn = 0;
  const admission = new Admission(
    { transfers: 1, perClient: 1000, waiting: 0, waitMs: 1 },
    () => 0,
    () => (turn = (turn + 0.37) % 1),
  );
  await admission.enter('a', 'first', here);
  const told: number[] = [];
  for (let at = 0; at < 40; at++) {
    const error = await t.throwsAsync(admission.enter('a', `n${at}`, here), { instanceOf: BusyError });
    told.push(error?.retryAfter ?? 0);
  }
  t.true(Math.max(...told) <= 60 && Math.min(...told) >= 2);
  t.true(new Set(told).size > 15, told.join(' '));
});

test('a thousand nodes boot through racks of few transfers: all finish, none is starved', async (t) => {
  const site = await runSite(t, { http: { transfersPerRack: 1 } });
  const files = { linux: randomBytes(30_000), 'initrd.gz': randomBytes(90_000), large: randomBytes(2 ** 24) };
  const id = await site.publish({ name: 'd12', files });
  const racksOf = 4;
  let refused = 0;
  let most = 0;
  // Who holds each rack's only transfer at first, and reads nothing: short files may be sent before the next request is read.
  const holders = Array.from({ length: racksOf }, (_, rack) => {
    const holder = connect({ host: '127.0.0.1', port: site.port, localAddress: `127.1.${rack}.254` });
    holder.on('error', () => undefined);
    holder.pause().write(`GET /images/d12@${id}/files/large HTTP/1.1\r\nHost: x\r\n\r\n`);
    return holder;
  });
  await until(() => site.servers.service.transfers.totals.active === racksOf);
  /** What a boot script does: fetch, and after a 503 again when told to, a hundred times as fast. */
  const boot = async (node: number): Promise<void> => {
    const from = `127.1.${node % racksOf}.${1 + Math.floor(node / racksOf)}`;
    for (const name of ['linux', 'initrd.gz'] as const) {
      for (let attempt = 1; ; attempt++) {
        const answer = await ask(site, `/images/d12@${id}/files/${name}`, { from });
        most = Math.max(most, attempt);
        if (answer.status === 200) {
          if (!answer.body.equals(files[name])) t.fail(`${name} of ${from} is damaged`);
          break;
        }
        refused++;
        if (refused === 500) for (const holder of holders) holder.destroy();
        const after = Number(answer.headers['retry-after']);
        if (answer.status !== 503 || !(after >= 2 && after <= 60) || attempt > 1000) {
          t.fail(`${name} for ${from}: status ${answer.status}, Retry-After ${after}, attempt ${attempt}`);
          return;
        }
        await new Promise((resolve) => setTimeout(resolve, after * 10));
      }
    }
  };
  await Promise.all(Array.from({ length: 1000 }, (_, node) => boot(node)));
  t.log(`${refused} requests were refused; the most attempts for one file were ${most}`);
  t.true(refused >= 500);
  t.is(site.servers.service.transfers.totals.finished, 2000);
  await soon();
  t.is(site.servers.service.transfers.totals.active, 0);
});

test('in a rack that is far too large, all get their turn, the first ones before the last', async (t) => {
  const limits = { transfers: 4, perClient: 1000, waiting: 4, waitMs: 30 };
  const admission = new Admission(limits, () => performance.now());
  let active = 0;
  let most = 0;
  let refused = 0;
  const order: number[] = [];
  const transfer = async (node: number): Promise<void> => {
    for (let attempt = 1; attempt < 2000; attempt++) {
      try {
        const leave = await admission.enter('a', `n${node}`, here);
        most = Math.max(most, ++active);
        await new Promise((resolve) => setTimeout(resolve, 2));
        active--;
        leave();
        order.push(node);
        return;
      } catch (error) {
        if (!(error instanceof BusyError)) throw error;
        refused++;
        // A hundred times as fast as it was told.
        await new Promise((resolve) => setTimeout(resolve, error.retryAfter * 10));
      }
    }
  };
  await Promise.all(Array.from({ length: 1000 }, (_, node) => transfer(node)));
  t.is(most, 4);
  t.is(new Set(order).size, 1000);
  t.true(refused > 1000, `${refused} were refused`);
  const place = (node: number): number => order.indexOf(node);
  const mean = (from: number): number =>
    Array.from({ length: 100 }, (_, at) => place(from + at)).reduce((sum, at) => sum + at, 0) / 100;
  t.true(mean(0) < mean(900), `mean places: ${mean(0)} of the first, ${mean(900)} of the last`);
});
