import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';

const ETHERNET = 14;
const [IPV4, UDP] = [0x0800, 17];
const BOOTP_OPTIONS = 240; // offset in the UDP payload, behind the magic cookie
const [TFTP, DHCP_SERVER] = [69, 67];

/** DHCP options by which iPXE is told from other ROMs: user class, and its own encapsulated options. */
const IPXE_OPTIONS = [77, 175];

/**
 * Makes a machine's network ROM, which in QEMU is always iPXE, a ROM like others: what tells it from them is taken out
 * of its DHCP requests on their way, until it has asked for a file by TFTP. What it loads then speaks for itself.
 */
export class PlainRom {
  readonly #servers: readonly Server[];
  readonly #paths: readonly [out: string, back: string];
  #back: Socket | undefined;
  #isDone = false;
  /** How many requests were changed. */
  changed = 0;

  private constructor(directory: string) {
    this.#paths = [join(directory, 'rom-out'), join(directory, 'rom-back')];
    this.#servers = [
      createServer((socket) => this.#filter(socket)),
      createServer((socket) => (this.#back = socket)),
    ];
  }

  /** Sockets in `directory` for one machine. */
  static async listen(directory: string): Promise<PlainRom> {
    const rom = new PlainRom(directory);
    await Promise.all(
      rom.#servers.map(
        (server, at) => new Promise<void>((resolve) => server.listen(rom.#paths[at], resolve)),
      ),
    );
    return rom;
  }

  /** What QEMU is to be told: frames of the network card go through us. */
  get options(): readonly string[] {
    const [out, back] = this.#paths;
    return [
      ...['-chardev', `socket,id=rom-out,path=${out}`, '-chardev', `socket,id=rom-back,path=${back}`],
      ...['-object', 'filter-redirector,id=rom,netdev=lan,queue=rx,outdev=rom-out,indev=rom-back'],
    ];
  }

  async close(): Promise<void> {
    this.#back?.destroy();
    await Promise.all(
      this.#servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))),
    );
  }

  /** Frames come with their length in four bytes before them, and go back so. */
  #filter(socket: Socket): void {
    let held = Buffer.alloc(0);
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      held = Buffer.concat([held, chunk]);
      while (held.length >= 4 && held.length >= 4 + held.readUInt32BE(0)) {
        const end = 4 + held.readUInt32BE(0);
        const framed = Buffer.from(held.subarray(0, end));
        this.#disguise(framed.subarray(4));
        this.#back?.write(framed);
        held = held.subarray(end);
      }
    });
  }

  /** Overwrites the options of a DHCP request with padding, in place, and leaves out its checksum (RFC 768). */
  #disguise(frame: Buffer): void {
    if (this.#isDone || frame.length < ETHERNET + 28 || frame.readUInt16BE(12) !== IPV4) return;
    const udp = ETHERNET + (frame.readUInt8(ETHERNET) & 15) * 4;
    if (frame.readUInt8(ETHERNET + 9) !== UDP || frame.length < udp + 8) return;
    const port = frame.readUInt16BE(udp + 2);
    if (port === TFTP) this.#isDone = true;
    if (port !== DHCP_SERVER) return;
    for (let at = udp + 8 + BOOTP_OPTIONS; at < frame.length && frame[at] !== 255;) {
      const code = frame.readUInt8(at);
      const end = code === 0 ? at + 1 : at + 2 + frame.readUInt8(at + 1);
      if (IPXE_OPTIONS.includes(code)) {
        frame.fill(0, at, end);
        frame.writeUInt16BE(0, udp + 6);
        this.changed++;
      }
      at = end;
    }
  }
}
