// Package hooks tells other programs what happens in the fleet, by POST.
//
// A delivery is a JSON object with one event or more, in order, as [Delivery] says. It is signed: the header
// Pump-House-Signature holds t=SECONDS,v1=HEX, where HEX is the HMAC-SHA256, with the hook's secret, of the seconds, a
// dot and the body ([Verify] checks one). Pump-House-Delivery is a name for the delivery, the same at each attempt.
//
// An answer of 2xx takes it. 408, 425, 429, 5xx, no answer within ten seconds and no connection are tried again: after 1 s,
// 2 s, 4 s, up to a minute, ten times in all, or as Retry-After says; anything else is a refusal. What was given up is
// logged, counted, and told in the next delivery (lost). While a hook cannot be reached, up to 8,192 events wait for
// it; each hook has its own queue, and nobody else waits for it.
//
// Of several houses one sends. When it dies, another one goes on with what happened in the last seconds: an
// event may come twice then, from different houses.
package hooks
