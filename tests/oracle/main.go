// Command oracle encodes and decodes TTHeaders with Kitex's own library, one JSON line in, one out, for tests/oracle.rs.
package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"os"

	"github.com/cloudwego/gopkg/protocol/ttheader"
)

type header struct {
	Flags    uint16            `json:"flags"`
	Seqid    int32             `json:"seqid"`
	Protocol uint8             `json:"protocol"`
	Ints     map[uint16]string `json:"ints"`
	Strings  map[string]string `json:"strings"`
	// Hex: what follows the header when encoding, the whole frame when decoding.
	Hex     string `json:"hex"`
	Decode  bool   `json:"decode"`
	Payload int    `json:"payload"`
	Err     string `json:"err"`
}

func encode(h header, payload []byte) (header, error) {
	frame, err := ttheader.EncodeToBytes(context.Background(), ttheader.EncodeParam{
		Flags: ttheader.HeaderFlags(h.Flags), SeqID: h.Seqid, ProtocolID: ttheader.ProtocolID(h.Protocol),
		IntInfo: h.Ints, StrInfo: h.Strings,
	})
	if err != nil {
		return h, err
	}
	frame = append(frame, payload...)
	n := len(frame) - 4
	frame[0], frame[1], frame[2], frame[3] = byte(n>>24), byte(n>>16), byte(n>>8), byte(n)
	return header{Hex: hex.EncodeToString(frame)}, nil
}

func decode(frame []byte) (header, error) {
	d, err := ttheader.DecodeFromBytes(context.Background(), frame)
	return header{
		Flags: uint16(d.Flags), Seqid: d.SeqID, Protocol: uint8(d.ProtocolID),
		Ints: d.IntInfo, Strings: d.StrInfo, Payload: d.PayloadLen,
	}, err
}

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<22)
	out := json.NewEncoder(os.Stdout)
	for in.Scan() {
		var h header
		err := json.Unmarshal(in.Bytes(), &h)
		var raw []byte
		if err == nil {
			raw, err = hex.DecodeString(h.Hex)
		}
		if err == nil && h.Decode {
			h, err = decode(raw)
		} else if err == nil {
			h, err = encode(h, raw)
		}
		if err != nil {
			h = header{Err: err.Error()}
		}
		if out.Encode(h) != nil {
			os.Exit(1)
		}
	}
}
