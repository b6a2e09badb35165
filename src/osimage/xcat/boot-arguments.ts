/**
 * The kernel line of a stateless xCAT image, in xCAT's order, for each node by its attributes: `image` is the packed root
 * image below `files/`, whose name must be one that xCAT's dracut module knows (`rootimg.cpio.gz` …).
 */
export function netbootArguments(image: string): string {
  return [
    `imgurl={{ files }}/${image}`,
    'XCAT={{ xcat.master }}:3001',
    'NODE={{ node.name }}',
    'FC=0',
    '{{ xcat.status }}',
    'XCATHTTPPORT={{ xcat.httpport }}',
    '{{ xcat.debug }}',
    '{{ xcat.network }}',
    '{{ xcat.console }}',
    '{{ xcat.selinux }}',
    '{{ xcat.crashkernel }}',
    '{{ xcat.added }}',
    '{{ xcat.bootif }}',
  ].join(' ');
}
