package xCAT::TableUtils;
use strict;
use warnings;
use xCAT::Table;

sub get_site_attribute {
    my ($class, $key) = @_;
    my $row = $xCAT::Table::tables{site}{$key} or return undef;
    return $row->{value};
}

1;
