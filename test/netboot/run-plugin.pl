# Runs the plugin as xcatd does: a case comes in as JSON, and what was called, said and left in the tables goes out.
use strict;
use warnings;
use FindBin;
use JSON::PP ();

BEGIN { $ENV{XCATROOT} = $FindBin::Bin }
use lib "$FindBin::Bin/doubles", "$FindBin::Bin/../../netboot/xcat";
use xCAT_plugin::rackboot;

my $json = JSON::PP->new->utf8->canonical->allow_nonref;
# Not decoded as UTF-8: what xCAT has of its tables are bytes.
my $case = JSON::PP->new->decode(do { local $/; <STDIN> });
%xCAT::Table::tables = %{ $case->{tables} };
%xCAT::NetworkUtils::facing = %{ $case->{facing} || {} };
my (@said, @ran);
local $SIG{__WARN__} = sub { push @said, { perl => "@_" } };

my $callback = sub { push @said, as_received($_[0]) };
my $requests = xCAT_plugin::rackboot::preprocess_request($case->{request}, $callback);
for my $request (@{ $requests || [] }) {
    xCAT_plugin::rackboot::process_request($request, $callback, \&run);
}
print $json->encode(
    { handles => xCAT_plugin::rackboot::handled_commands(), said => \@said, ran => \@ran, tables => \%xCAT::Table::tables }
);

# What the client gets of a response: xcatd sends bytes, which are UTF-8 there; wide characters break its connection.
sub as_received {
    my ($value) = @_;
    return [ map { as_received($_) } @$value ] if ref $value eq 'ARRAY';
    return { map { ($_ => as_received($value->{$_})) } keys %$value } if ref $value eq 'HASH';
    my $text = $value;
    return "WIDE: $text" if $text =~ /[^\x00-\xff]/;
    return utf8::decode($text) ? $text : 'NO UTF-8';
}

# Another command of xCAT's, which says to $say what it does.
sub run {
    my ($request, $say) = @_;
    my ($command) = @{ $request->{command} };
    push @ran, { command => $command, node => $request->{node}, arg => $request->{arg} };
    return $say->($_) for @{ $case->{prescripts}{$command} || [] };
    set_destiny($request, $say) if $command eq 'setdestiny';
    return;
}

# xCAT's setdestiny by what it is seen to do: tables first, then kernel lines, then a word for each node.
sub set_destiny {
    my ($request, $say) = @_;
    my ($state) = @{ $request->{arg} };
    my $tables = \%xCAT::Table::tables;
    if ($state =~ /^osimage=(.*)/ && !$tables->{osimage}{$1}) {
        $say->({ error => "Cannot find the OS image $1 in the osimage table.", errorcode => [1], errorabort => [1] });
        return;
    }
    if ($state eq 'osimage' || $state eq 'reset') {
        $say->({ error => ["Unknown state $state requested"], errorcode => [1] });
        return;
    }
    for my $node (@{ $request->{node} }) {
        if (my $why = $case->{fails}{$node}) {
            $say->({ node => [ { name => [$node], error => [$why], errorcode => [1] } ] });
            next;
        }
        my ($now, @later) = split /,/, $state;
        my $chain = $tables->{chain}{$node} ||= {};
        if ($now eq 'next')  { ($now, @later) = split /,/, $chain->{currchain} || $chain->{currstate} }
        if ($now eq 'enact') { $now = $chain->{currstate} }
        if ($now =~ /^osimage=(.*)/) {
            my $image = $tables->{osimage}{$1};
            $tables->{nodetype}{$node}{provmethod} = $1;
            $now = "$image->{provmethod} $image->{osvers}-x86_64-compute";
            @later = ('boot') if $image->{provmethod} eq 'install';
            my $warning = "$node: rackboot might be invalid when provisioning $1,valid options: \"xnba,pxe,grub2\". \n"
              . 'For more details see the \'netboot\' description in the output of "tabdump -d noderes".';
            $say->({ warning => [$warning] });
        }
        $chain->{currstate} = $now;
        $chain->{currchain} = join ',', @later if @later;
        my $kcmdline = $case->{kcmdline}{$now};
        $request->{bootparams}{$node} = [
            {
                kernel   => 'xcat/osimage/x/kernel',
                initrd   => 'xcat/osimage/x/initrd-stateless.gz',
                kcmdline => $kcmdline =~ s/NODENAME/$node/gr,
                %{ $tables->{bootparams}{$node} || {} },
            }
        ] if defined $kcmdline;
        next if $case->{silent};
        $say->({ node => [ { name => [$node], data => [$now], destiny => [$now], imgserver => '10.1.0.1' } ] });
    }
    return;
}
