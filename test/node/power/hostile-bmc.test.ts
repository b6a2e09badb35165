import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { PowerError } from '../../../src/node/power/errors.js';
import { perform } from '../../../src/node/power/perform.js';
import { localPath } from '../../../src/node/power/redfish/body.js';
import { RedfishClient } from '../../../src/node/power/redfish/client.js';
import { findDrive } from '../../../src/node/power/redfish/media.js';
import { RedfishControl } from '../../../src/node/power/redfish/power.js';
import { runProgram } from '../../product/commands.js';

const link = fc
  .constantFrom(
    ...[
      '/redfish/v1/',
      '/a',
      '/b?x',
      '//evil.example/c',
      'https://evil.example/d',
      '../..',
      'no%',
      '\u0000',
      '',
    ],
  )
  .map((path) => ({ '@odata.id': path }));

/** Values of Redfish's words, some as they should be. */
const value: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 2, arbitrary: fc.jsonValue({ maxDepth: 2 }) },
  { weight: 4, arbitrary: link },
  { weight: 2, arbitrary: fc.array(link, { maxLength: 3 }) },
  fc.constantFrom('On', 'Off', 'Running', 'Exception', 'PreconditionFailed', 'x\n'.repeat(99)),
);

const words = [
  ...[
    'Systems',
    'Links',
    'Sessions',
    'Members',
    'Actions',
    'PowerState',
    'Boot',
    'VirtualMedia',
    'ManagedBy',
    'Image',
  ],
  ...[
    'TaskState',
    'Messages',
    'error',
    '@Message.ExtendedInfo',
    '@Redfish.Settings',
    '#ComputerSystem.Reset',
    'target',
  ],
  ...[
    '@Redfish.ActionInfo',
    'Parameters',
    'ResetType@Redfish.AllowableValues',
    'MediaTypes',
    '@odata.id',
    '@odata.etag',
  ],
];

const body = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.dictionary(
      fc.constantFrom(...words),
      fc.oneof(value, fc.dictionary(fc.constantFrom(...words), value)),
      { maxKeys: 12 },
    ),
  },
  fc.constantFrom(null, [], 'x', 7),
);

const answer = fc.record({
  status: fc.oneof(
    { weight: 8, arbitrary: fc.constant(200) },
    fc.constantFrom(201, 202, 204, 301, 308, 400, 401, 403, 404, 412, 500, 503),
  ),
  body: fc.oneof(
    { weight: 8, arbitrary: body.map((json) => JSON.stringify(json)) },
    fc.string({ maxLength: 40 }),
  ),
  location: fc.option(fc.constantFrom('/redfish/v1/', '/t', 'https://evil.example/x', '::', '')),
});

test('whatever a BMC answers, a command ends in time with a result or a line about that BMC', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'rackboot-hostile-'));
  t.teardown(() => rm(dir, { recursive: true }));
  const [keyFile, certFile] = [join(dir, 'key'), join(dir, 'cert')];
  await runProgram(
    [
      'openssl',
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-subj',
      '/CN=x',
      '-days',
      '3',
      '-keyout',
      keyFile,
      '-out',
      certFile,
    ],
    'openssl',
  );
  let script: readonly { status: number; body: string; location: string | null }[] = [];
  let asked = 0;
  const server = https.createServer(
    { key: await readFile(keyFile), cert: await readFile(certFile) },
    (request, response) => {
      const { status, body, location } = script[asked++ % script.length] ?? {
        status: 500,
        body: '',
        location: null,
      };
      request.resume();
      const isLogin = request.method === 'POST' && status < 300;
      response.writeHead(status, {
        'retry-after': '0',
        ...(location === null ? {} : { location }),
        ...(isLogin ? { 'x-auth-token': 'token' } : {}),
      });
      response.end(status === 204 || status === 304 ? '' : body);
    },
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  const deeds: ((control: RedfishControl, signal: AbortSignal) => Promise<unknown>)[] = [
    (control) => perform(control, { verb: 'boot', next: 'net' }),
    (control) => perform(control, { verb: 'cycle' }),
    async (control, signal) => (await findDrive(control, signal)).insert('http://x/y.iso'),
  ];
  await fc.assert(
    fc.asyncProperty(fc.array(answer, { minLength: 1, maxLength: 8 }), fc.nat(2), async (answers, which) => {
      [script, asked] = [answers, 0];
      const signal = AbortSignal.timeout(150);
      const trust = { kind: 'any' } as const;
      const client = new RedfishClient(
        { host: '127.0.0.1', port },
        { username: 'u', password: 'pass-4410' },
        { auth: 'session', trust, retries: 0 },
        signal,
      );
      const control = new RedfishControl(client, { uuid: null, serial: null, id: undefined }, signal);
      try {
        await deeds[which]?.(control, signal);
      } catch (error) {
        if (!(error instanceof PowerError)) throw error;
        t.notRegex(error.message, /[\x00-\x1f]|pass-4410/);
        t.true(error.message.length < 700, error.message);
      } finally {
        await control.close();
      }
    }),
    { numRuns: 150, endOnFailure: true },
  );
});

test('a path that a BMC hands out never leads to another host', (t) => {
  for (const [uri, path] of [
    ['/redfish/v1/x?y=1#z', '/redfish/v1/x?y=1'],
    ['https://bmc.example/redfish/v1/t', '/redfish/v1/t'],
    ['//evil.example/t', '/t'],
    ['t/../u', '/u'],
    ['http://[', undefined],
    [undefined, undefined],
  ] as const)
    t.is(localPath(uri), path);
});
