import { mkdtemp, readFile, rm } from 'node:fs/promises';
import net from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { PowerError } from '../../../src/node/power/errors.js';
import { perform, type Deed } from '../../../src/node/power/perform.js';
import type { Trust } from '../../../src/node/power/redfish/certificate.js';
import { RedfishClient } from '../../../src/node/power/redfish/client.js';
import { findDrive } from '../../../src/node/power/redfish/media.js';
import { RedfishControl } from '../../../src/node/power/redfish/power.js';
import { type EmulatorOptions, type RedfishEmulator, startRedfish } from './redfish-emulator.js';

async function bmc(t: ExecutionContext, options: EmulatorOptions = {}): Promise<RedfishEmulator> {
  const dir = await mkdtemp(join(tmpdir(), 'rackboot-redfish-'));
  t.teardown(() => rm(dir, { recursive: true }));
  const emulator = await startRedfish(dir, options);
  t.teardown(() => emulator.stop());
  return emulator;
}

interface Asking {
  readonly auth?: 'session' | 'basic';
  readonly trust?: Trust;
  readonly password?: string;
  readonly system?: { uuid?: string; serial?: string; id?: string };
  readonly seconds?: number;
  readonly signal?: AbortSignal;
}

async function withControl<Value>(
  emulator: Pick<RedfishEmulator, 'port' | 'username' | 'password' | 'ca'>,
  asking: Asking,
  work: (control: RedfishControl, signal: AbortSignal) => Promise<Value>,
): Promise<Value> {
  const signal = asking.signal ?? AbortSignal.timeout((asking.seconds ?? 60) * 1000);
  const trust = asking.trust ?? { kind: 'authority', ca: await readFile(emulator.ca, 'utf8') };
  const client = new RedfishClient(
    { host: '127.0.0.1', port: emulator.port },
    { username: emulator.username, password: asking.password ?? emulator.password },
    { auth: asking.auth ?? 'session', trust, retries: 1 },
    signal,
  );
  const { uuid = null, serial = null, id } = asking.system ?? {};
  const control = new RedfishControl(client, { uuid, serial, id }, signal);
  try {
    return await work(control, signal);
  } finally {
    await control.close();
  }
}

const doing = (emulator: RedfishEmulator, deed: Deed, asking: Asking = {}): Promise<string> =>
  withControl(emulator, asking, (control) => perform(control, deed));

const failing = async (
  t: ExecutionContext,
  emulator: RedfishEmulator,
  deed: Deed,
  asking: Asking = {},
): Promise<PowerError> => t.throwsAsync(doing(emulator, deed, asking), { instanceOf: PowerError });

test('a machine is switched through every verb, and every session is closed', async (t) => {
  const emulator = await bmc(t);
  const said: string[] = [];
  for (const verb of [
    'stat',
    'boot',
    'stat',
    'boot',
    'reset',
    'cycle',
    'nmi',
    'softoff',
    'on',
    'off',
    'off',
  ] as const)
    said.push(await doing(emulator, { verb }));
  t.deepEqual(said, [
    ...['off', 'off on', 'on', 'on reset', 'reset', 'cycle', 'nmi', 'softoff', 'on', 'off', 'off'],
  ]);
  t.is(emulator.machine.power, 'Off');
  t.is(emulator.openSessions(), 0);
  t.is((await failing(t, emulator, { verb: 'reset' })).code, 'IS_OFF');
  t.is(emulator.openSessions(), 0);
});

test('the boot device is set once, under the ETag that the system has', async (t) => {
  const emulator = await bmc(t, { crossings: 2 });
  t.is(await doing(emulator, { verb: 'boot', next: 'net', firmware: 'uefi' }), 'off on');
  t.is(await doing(emulator, { verb: 'reset' }), 'reset');
  t.is(await doing(emulator, { verb: 'reset', next: 'cd' }), 'reset');
  t.deepEqual(emulator.machine.boots, ['Pxe UEFI', 'usual', 'Cd UEFI']);
  t.is(emulator.log.filter((line) => line.startsWith('PATCH') && line.endsWith('412')).length, 2);
  const error = await failing(t, emulator, { verb: 'reset', next: 'setup' });
  t.is(error.code, 'UNSUPPORTED');
  t.regex(error.message, /cannot be told to boot from setup; it knows: None, Pxe, Cd, Hdd$/);
});

test('a change that is crossed every time is given up', async (t) => {
  const emulator = await bmc(t, { crossings: 9 });
  const error = await failing(t, emulator, { verb: 'on', next: 'net' });
  t.is(error.code, 'REFUSED');
  t.regex(error.message, /\(412\): It was changed\./);
  t.is(emulator.machine.power, 'Off');
});

const kinds: readonly (readonly [string, EmulatorOptions])[] = [
  ['tasks that take their time', { taskPolls: 3 }],
  ['a BMC that is busy at first', { busy: 3 }],
  ['basic authentication', { sessions: false }],
  ['weak ETags that never fit', { strongTags: true }],
  ['an ActionInfo', { resetInfo: 'described' }],
  ['no word on what it can do', { resetInfo: 'untold' }],
  ['no PowerCycle: off, then on', { resetTypes: ['On', 'ForceOff', 'ForceRestart'] }],
];
for (const [what, options] of kinds) {
  test(`works with ${what}`, async (t) => {
    const emulator = await bmc(t, options);
    t.is(await doing(emulator, { verb: 'on', next: 'net' }), 'on');
    t.is(await doing(emulator, { verb: 'cycle' }), 'cycle');
    t.deepEqual(emulator.machine.boots, ['Pxe Legacy', 'usual']);
    t.is(emulator.openSessions(), 0);
  });
}

test('basic authentication where the site says so', async (t) => {
  const emulator = await bmc(t);
  t.is(await doing(emulator, { verb: 'stat' }, { auth: 'basic' }), 'off');
  t.false(emulator.log.some((line) => line.includes('Sessions')));
});

test('a task that fails is the machine’s failure, in its words', async (t) => {
  const emulator = await bmc(t, { taskPolls: 2, taskFailure: 'The\nfan is\nmissing.' });
  const error = await failing(t, emulator, { verb: 'on' });
  t.is(error.code, 'REFUSED');
  t.regex(error.message, /could not: its task ended as Exception \(The fan is missing\.\); look at/);
});

test('what a BMC cannot do, and what it can', async (t) => {
  const emulator = await bmc(t, { resetTypes: ['On', 'ForceOff'] });
  const error = await failing(t, emulator, { verb: 'softoff' });
  t.is(error.code, 'UNSUPPORTED');
  t.regex(error.message, /cannot be told softoff; it knows: On, ForceOff$/);
});

test('a wrong password is refused, and no message or log holds one', async (t) => {
  for (const auth of ['session', 'basic'] as const) {
    const emulator = await bmc(t);
    const error = await failing(t, emulator, { verb: 'on' }, { auth, password: 'guess-77' });
    t.is(error.code, 'ACCESS_DENIED');
    t.regex(error.message, /does not let 'operator' in/);
    t.false(error.message.includes('guess-77'));
    t.is(emulator.machine.power, 'Off');
  }
});

test('certificates: an authority, a pin, anything; else nothing is sent', async (t) => {
  const emulator = await bmc(t);
  const [ca, other] = [
    emulator.fingerprint,
    emulator.fingerprint.replace(/^../, (two) => (two === '00' ? '01' : '00')),
  ];
  t.is(await doing(emulator, { verb: 'stat' }, { trust: { kind: 'pinned', fingerprint: ca } }), 'off');
  t.is(await doing(emulator, { verb: 'stat' }, { trust: { kind: 'any' } }), 'off');
  const asked = emulator.log.length;
  const pinned = await failing(
    t,
    emulator,
    { verb: 'on' },
    { trust: { kind: 'pinned', fingerprint: other } },
  );
  t.is(pinned.code, 'BAD_CERTIFICATE');
  t.true(pinned.message.includes(emulator.fingerprint));
  const untrusted = await failing(
    t,
    emulator,
    { verb: 'on' },
    { trust: { kind: 'authority', ca: undefined } },
  );
  t.is(untrusted.code, 'BAD_CERTIFICATE');
  t.regex(untrusted.message, /DEPTH_ZERO_SELF_SIGNED_CERT.*bmcfingerprint=(?:[0-9A-F]{2}:){31}[0-9A-F]{2}$/);
  t.is(emulator.log.length, asked);
});

test('an authority vouches for one address only', async (t) => {
  const emulator = await bmc(t);
  const trust = { kind: 'authority', ca: await readFile(emulator.ca, 'utf8') } as const;
  const options = { auth: 'session', trust, retries: 0 } as const;
  const client = new RedfishClient(
    { host: 'localhost', port: emulator.port },
    emulator,
    options,
    AbortSignal.timeout(60_000),
  );
  const error = await t.throwsAsync(client.root(), { instanceOf: PowerError });
  await client.close();
  t.is(error.code, 'BAD_CERTIFICATE');
  t.regex(error.message, /ERR_TLS_CERT_ALTNAME_INVALID/);
});

test('of several systems the node’s own is switched', async (t) => {
  const uuid = '4c4c4544-0042-3510-8054-b4c04f4d3132';
  const systems = [
    { id: 'left', uuid },
    { id: 'right', serial: 'SN77' },
  ];
  const emulator = await bmc(t, { systems });
  t.is(await doing(emulator, { verb: 'stat' }, { system: { uuid } }), 'off');
  t.is(await doing(emulator, { verb: 'stat' }, { system: { serial: 'SN77' } }), 'off');
  t.is(await doing(emulator, { verb: 'stat' }, { system: { id: 'right' } }), 'off');
  for (const system of [{}, { serial: 'SN78' }, { id: 'middle' }]) {
    const error = await failing(t, emulator, { verb: 'on' }, { system });
    t.is(error.code, 'NO_CONTROL');
    t.regex(error.message, /set bmcsystem to one of: left, right$/);
  }
});

test('nobody there, nobody who answers, and somebody else', async (t) => {
  const emulator = await bmc(t, { silent: true });
  const late = await failing(t, emulator, { verb: 'stat' }, { seconds: 0.5 });
  t.is(late.code, 'TIMED_OUT');
  const busy = await bmc(t, { busy: 1_000_000 });
  t.is((await failing(t, busy, { verb: 'stat' }, { seconds: 0.5 })).code, 'TIMED_OUT');
  const gone = await bmc(t);
  await gone.stop();
  const error = await failing(t, gone, { verb: 'stat' });
  t.is(error.code, 'UNREACHABLE');
  t.regex(error.message, /does not answer Redfish \(ECONNREFUSED\); check the address/);
  const plain = net.createServer(
    (socket) => void socket.on('error', () => undefined).end('HTTP/1.0 200 OK\r\n\r\n'),
  );
  plain.listen(0, '127.0.0.1');
  await once(plain, 'listening');
  t.teardown(() => plain.close());
  const { port } = plain.address() as net.AddressInfo;
  const noTls = await t.throwsAsync(
    withControl({ ...gone, port }, {}, (control) => control.state()),
    { instanceOf: PowerError },
  );
  t.is(noTls.code, 'UNREACHABLE');
});

const URLS = ['http://10.1.0.1:8080/nodes/n1.iso', 'http://10.1.0.1:8080/nodes/n2.iso'] as const;
const drives: readonly (readonly [string, EmulatorOptions])[] = [
  ['the usual action', {}],
  ['the system’s own drive', { mediaAt: 'system' }],
  ['an action that wants the protocol', { media: 'wants-protocol' }],
  ['an action that takes nothing but the image', { media: 'image-only' }],
  ['a described action', { media: 'described' }],
  ['a drive without actions', { media: 'patch', crossings: 1 }],
  ['tasks', { taskPolls: 2 }],
];
for (const [what, options] of drives) {
  test(`media go in and out: ${what}`, async (t) => {
    const emulator = await bmc(t, options);
    await withControl(emulator, {}, async (control, signal) => {
      const drive = await findDrive(control, signal);
      t.is(await drive.image(), null);
      for (const url of [URLS[0], URLS[0], URLS[1]]) {
        await drive.insert(url);
        t.is(emulator.machine.image, url);
        t.is(await drive.image(), url);
      }
      t.deepEqual(emulator.machine.inserted, [URLS[0], URLS[0], URLS[1]], 'the same URL is put in anew');
      await drive.eject();
      await drive.eject();
      t.is(emulator.machine.image, null);
    });
    t.is(emulator.openSessions(), 0);
  });
}

test('a BMC without a drive, and one that cannot fetch the medium', async (t) => {
  const stop = new AbortController();
  const inserting = (emulator: RedfishEmulator): Promise<PowerError> =>
    t.throwsAsync(
      withControl(emulator, { signal: stop.signal }, async (control, signal) =>
        (await findDrive(control, signal)).insert(URLS[0]),
      ),
      { instanceOf: PowerError },
    );
  t.is((await inserting(await bmc(t, { media: 'none' }))).code, 'UNSUPPORTED');
  const emulator = await bmc(t, { media: 'unreachable' });
  // Its time is up once it has been asked whether the medium is there.
  const watch = setInterval(() => {
    const told = emulator.log.findIndex((line) => line.includes('do-insert'));
    if (told !== -1 && emulator.log.slice(told).some((line) => line.startsWith('GET'))) stop.abort();
  }, 10);
  t.teardown(() => clearInterval(watch));
  const unreachable = await inserting(emulator);
  t.is(unreachable.code, 'NOT_INSERTED');
  t.regex(unreachable.message, /took http:\/\/10\.1\.0\.1:8080\/nodes\/n1\.iso and does not show it/);
});
