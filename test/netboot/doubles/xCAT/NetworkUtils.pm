package xCAT::NetworkUtils;
use strict;
use warnings;

# What my_ip_facing returns: an address in older releases, a status before it in newer ones.
our %facing;

sub my_ip_facing {
    my ($class, $node) = @_;
    my $found = $facing{$node};
    return ref $found eq 'ARRAY' ? @$found : $found;
}

1;
