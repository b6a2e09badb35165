import test, { type ExecutionContext } from 'ava';
import { decide } from '../../../src/pxe/dhcp/decide.js';
import type { KnownNode } from '../../../src/pxe/dhcp/facts.js';
import type { DhcpPacket } from '../../../src/pxe/dhcp/packet.js';
import { Pools, type PoolQuestion } from '../../../src/pxe/dhcp/pools.js';
import { parseSubnet, type Subnet } from '../../../src/pxe/dhcp/subnets.js';
import { siteConfigSchema } from '../../../src/site/config.js';
import { siteAt } from '../../../src/site/site.js';
import { openStore } from '../../../src/store/store.js';
import { PostgresServer } from '../../store/state/postgres-server.js';
import { temporaryDirectory } from '../../store/temporary-site.js';
import { chose, clientMessage, is, wants } from './messages.js';

const NOW = 1_000_000;
const NODES = 12;
const ROUNDS = 8;

let postgres: PostgresServer | undefined;
test.before(async () => {
  postgres = await PostgresServer.start();
});
test.after.always(() => postgres?.stop());

const subnetOf = (server: string): Subnet =>
  parseSubnet(
    siteConfigSchema.parse({
      dhcp: {
        interfaces: { eth1: 'authoritative' },
        subnets: [{ network: '10.77.0.0/24', server, pools: ['10.77.0.20-10.77.0.49'] }],
      },
    }).dhcp.subnets[0] ?? (undefined as never),
    'eth1',
  );

/** One of the servers that share a database: what it says to messages of node `number`, once it may be said. */
type Server = (number: number, packet: DhcpPacket) => Promise<readonly (string | undefined)[]>;

const macOf = (number: number): string => `52:54:00:00:01:${number.toString(16).padStart(2, '0')}`;
const chaddrOf = (number: number): Buffer => Buffer.from(macOf(number).replaceAll(':', ''), 'hex');

async function openServers(t: ExecutionContext, database: string): Promise<readonly [Server, Server]> {
  const site = siteAt(await temporaryDirectory(t), siteConfigSchema.parse({ database }));
  const open = async (address: string): Promise<Server> => {
    const store = await openStore(site);
    t.teardown(() => store.close());
    const pools = new Pools(store.addresses, { offerMs: 60_000, addressesPerNode: 8 });
    const subnet = subnetOf(address);
    const facts = {
      ...{ subnets: [subnet], heldUntil: undefined, tftpServer: undefined, httpUrl: 'http://x', loaders: {} },
    };
    return async (number, packet) => {
      const node: KnownNode = { name: `n${number}`, ip: null, intent: { kind: 'offline' } };
      const question: PoolQuestion = { packet, mac: macOf(number), node, subnets: [subnet] };
      const { answers, durable } = await pools.answer(
        [question],
        NOW,
        (asked, seat) => decide(asked, { ...facts, node: seat.node }, NOW),
        () => true,
      );
      await durable;
      return answers.flatMap((answer) =>
        answer.kind === 'decided'
          ? answer.decisions.map((decision) =>
              decision.kind === 'reply' ? `${decision.type} ${decision.address ?? 'of nothing'}` : undefined,
            )
          : [],
      );
    };
  };
  return [await open('10.77.0.1'), await open('10.77.0.2')];
}

for (const kind of ['SQLite', 'PostgreSQL'] as const) {
  test.serial(
    `two servers on one ${kind} database: a node asks both at once and has one address`,
    async (t) => {
      t.timeout(120_000);
      const database = kind === 'SQLite' ? 'sqlite' : await postgres!.newDatabase();
      const servers = await openServers(t, database);
      const has = new Map<number, string>();
      for (let round = 0; round < ROUNDS; round += 1) {
        await Promise.all(
          Array.from({ length: NODES }, async (_, number) => {
            const fields = { chaddr: chaddrOf(number), xid: round * NODES + number };
            const before = has.get(number);
            // Both hear DISCOVER; in odd rounds the first hears, meanwhile, a REQUEST for what the node has already.
            const asked = servers.map((server, at) =>
              server(
                number,
                before !== undefined && round % 2 === 1 && at === 0
                  ? clientMessage([is('request'), wants(before)], fields)
                  : clientMessage([is('discover')], fields),
              ),
            );
            const offers = (await Promise.all(asked)).flat();
            t.is(offers.length, 2);
            const addresses = new Set(offers.map((offer) => offer?.split(' ')[1]));
            t.is(addresses.size, 1, `n${number} is told ${offers.join(' and ')}`);
            const [address = ''] = addresses;
            t.is(address, before ?? address, 'it keeps what it has');
            // Its REQUEST is broadcast: the server that it chose answers, the other one stays silent; while both hear DISCOVER again.
            const request = clientMessage([is('request'), wants(address), chose('10.77.0.2')], fields);
            const again = clientMessage([is('discover')], fields);
            const said = await Promise.all([
              ...servers.map((server) => server(number, request)),
              ...servers.map((server) => server(number, again)),
            ]);
            t.deepEqual(
              said
                .flat()
                .filter((one) => one !== undefined)
                .toSorted(),
              [`ack ${address}`, `offer ${address}`, `offer ${address}`],
            );
            has.set(number, address);
          }),
        );
        t.is(new Set(has.values()).size, NODES, 'nobody has another’s');
      }
    },
  );
}
