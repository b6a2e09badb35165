import test from 'ava';
import { DhcpHistory } from '../../src/api/dhcp-history.js';
import type { DhcpEvent } from '../../src/pxe/dhcp/event.js';
import type { NewEvent } from '../../src/store/records.js';

const ack: DhcpEvent = {
  at: 1,
  kind: 'ack',
  reason: null,
  mac: '52:54:00:00:00:01',
  node: 'n1',
  address: '10.77.0.10',
  client: 'operating system',
  bootFile: null,
  detail: 'no boot file',
};
const rom: DhcpEvent = { ...ack, client: 'PXE ROM, BIOS', bootFile: 'undionly.kpxe' };

function newHistory(): { history: DhcpHistory; written: NewEvent[] } {
  const written: NewEvent[] = [];
  const history = new DhcpHistory({
    appendAll: (events) => {
      written.push(...events);
      return Promise.resolve();
    },
  });
  return { history, written };
}

for (const [what, events, expected] of [
  ['renewals are written down once', [ack, ack, { ...ack, at: 2 }], ['10.77.0.10 for operating system']],
  [
    'each boot is written down whole, and the system that it ends in',
    [rom, ack, ack, rom, ack],
    Array(2)
      .fill(['10.77.0.10 for PXE ROM, BIOS, boot file undionly.kpxe', '10.77.0.10 for operating system'])
      .flat(),
  ],
  [
    'firmware that asks again and again is told again each time',
    [rom, rom],
    Array(2).fill('10.77.0.10 for PXE ROM, BIOS, boot file undionly.kpxe'),
  ],
  [
    'another address, another interface, and a MAC that went to another node are news',
    [ack, { ...ack, address: '10.77.0.11' }, { ...ack, mac: '52:54:00:00:00:02' }, { ...ack, node: 'n2' }],
    [
      '10.77.0.10 for operating system',
      '10.77.0.11 for operating system',
      '10.77.0.10 for operating system',
      '10.77.0.10 for operating system',
    ],
  ],
  [
    'offers, refusals and strangers are not',
    [
      { ...ack, kind: 'offer' },
      { ...ack, kind: 'nak' },
      { ...ack, node: null },
    ],
    [],
  ],
  [
    'a proxy gives no address',
    [{ ...rom, kind: 'proxy', address: null }],
    ['proxy for PXE ROM, BIOS, boot file undionly.kpxe'],
  ],
] as readonly (readonly [string, readonly DhcpEvent[], readonly string[]])[]) {
  test(what, async (t) => {
    const { history, written } = newHistory();
    for (const event of events) await history.record([event]);
    t.deepEqual(
      written.map(({ detail }) => detail),
      expected,
    );
    t.true(written.every(({ stage, client }) => stage === 'dhcp' && client !== null));
    const atOnce = newHistory();
    await atOnce.history.record(events);
    t.deepEqual(atOnce.written, written);
  });
}

test('what could not be written is written when it is told again', async (t) => {
  const written: NewEvent[] = [];
  let isFull = true;
  const history = new DhcpHistory({
    appendAll: (events) => {
      if (isFull) return Promise.reject(new Error('database or disk is full'));
      written.push(...events);
      return Promise.resolve();
    },
  });
  await t.throwsAsync(history.record([ack]), { message: /full/ });
  isFull = false;
  await history.record([ack]);
  t.is(written.length, 1);
});
