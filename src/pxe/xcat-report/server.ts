import { createServer, type AddressInfo, type Socket } from 'node:net';
import { codeOf, messageOf } from '../../errors.js';
import { limitsOf, XCAT_LIMITS } from '../../site/limits-config.js';
import type { BootService } from '../boot/service.js';
import { PxeError } from '../errors.js';
import { Repeats } from '../repeats.js';
import { neighbourMac } from '../tftp/neighbours.js';
import { ReportDesk } from './desk.js';
import { MAX_LINE, readReportLine } from './line.js';

/** How long a node may take to say its line, in milliseconds. */
const PATIENCE = 10_000;

/** A running install monitor. */
export interface XcatReports {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Listens for the reports of xCAT's nodes: the server says `ready`, the node one line, and when that is done the server
 * says `done` and hangs up. Whoever is no node is hung up on at once. Throws PxeError PORT_IN_USE, NO_RIGHTS, NO_ADDRESS.
 */
export async function startXcatReports(
  service: BootService,
  host: string,
  port: number,
  macOf: (address: string) => Promise<string | undefined> = neighbourMac,
): Promise<XcatReports> {
  const desk = new ReportDesk(service, macOf);
  const strangers = new Repeats();
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    listen(socket, desk, service, strangers).catch((error: unknown) => {
      service.log.error({ service: 'xcat' }, `report: ${messageOf(error)}`);
      socket.destroy();
    });
  });
  server.maxConnections = limitsOf(XCAT_LIMITS, service.config.xcat.limits).connections;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, backlog: 512 }, () => {
      server.off('error', reject);
      resolve();
    });
  }).catch((cause: unknown) => {
    throw listenError(cause, host, port);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

async function listen(
  socket: Socket,
  desk: ReportDesk,
  service: BootService,
  strangers: Repeats,
): Promise<void> {
  const client = (socket.remoteAddress ?? '').replace(/^::ffff:/, '');
  const timer = setTimeout(() => socket.destroy(), PATIENCE);
  socket.once('close', () => clearTimeout(timer));
  const reporter = await desk.identify(client);
  if (reporter.kind === 'nobody') {
    if (strangers.isNew(`${client} ${reporter.why}`, service.now()))
      service.log.warn({ service: 'xcat', client }, `no report is taken from ${client}: ${reporter.why}`);
    socket.destroy();
    return;
  }
  socket.write('ready\n');
  const line = await readLine(socket);
  if (line === undefined) return;
  await desk.take(reporter.node, client, readReportLine(line));
  socket.end('done\n');
}

/** The first line, or undefined when the client ends or goes on for too long before it. */
function readLine(socket: Socket): Promise<string | undefined> {
  return new Promise((resolve) => {
    let text = '';
    socket.setEncoding('latin1');
    socket.on('data', (chunk) => {
      text += String(chunk);
      const end = text.indexOf('\n');
      if (end >= 0) resolve(text.slice(0, end));
      else if (text.length > MAX_LINE) {
        socket.destroy();
        resolve(undefined);
      }
    });
    socket.once('close', () => resolve(undefined));
    socket.once('end', () => resolve(text === '' ? undefined : text));
  });
}

function listenError(cause: unknown, host: string, port: number): PxeError {
  const place = `reports cannot be taken on ${host.includes(':') ? `[${host}]` : host}:${port}`;
  switch (codeOf(cause)) {
    case 'EADDRINUSE':
      return new PxeError(
        'PORT_IN_USE',
        `${place}: the port is in use, by xcatd perhaps; stop what uses it (ss -ltnp), or change xcat.reports in rackboot.yaml`,
        { cause },
      );
    case 'EACCES':
      return new PxeError(
        'NO_RIGHTS',
        `${place}: no rights for that port; run as root, or use a port above 1023 in xcat.reports`,
        { cause },
      );
    case 'EADDRNOTAVAIL':
      return new PxeError(
        'NO_ADDRESS',
        `${place}: this machine does not have that address; change xcat.reports in rackboot.yaml`,
        { cause },
      );
    default:
      return new PxeError('SOCKET', `${place}: ${messageOf(cause)}`, { cause });
  }
}
