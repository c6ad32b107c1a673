-- Where the store begins and ends.
return { first(), stop }
