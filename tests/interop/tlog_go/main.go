// Checks our checkpoints, proofs and tiles with Go's own transparency-log
// packages, x/mod's sumdb/note and sumdb/tlog, as a follower of the log would:
// signatures and hashing are theirs, only reading our files is done here.
//
//	tlog_go DIR
//
// DIR holds
//
//	log.vkey          verifier key of the log (type 0x01): name+hash+base64
//	witness.vkeys     (where it exists) one line for each cosigner (type 0x04)
//	checkpoint        a signed note of an earlier tree
//	checkpoint2       a signed note of a later tree
//	inclusion.json    {index, size, leaf_hash, path, root}, for checkpoint's tree
//	consistency.json  {size1, root1, size2, root2, path}, checkpoint to checkpoint2
//	tiles/            tile/<L>/<N>[.p/<W>] and tile/entries/<N>[.p/<W>] of checkpoint2's tree
//	anchor_*.json     (where they exist) {checkpoint, inclusions: [as inclusion.json, ...]}, from
//	                  a proof of state: its checkpoint, its state leaf, which has to be the
//	                  tree's last leaf, then its records
//
// Exit status 0 only if all is accepted and every altered twin is refused.
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/ioutil"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const tileHeight = 8 // C2SP tlog-tiles: 256 hashes in a full tile

// reader hands out the files of DIR; a twin differs from it in one file.
type reader func(name string) ([]byte, error)

// cosigner is a C2SP tlog-cosignature key: like note's own, but the signature
// carries a time, and the signed text begins with a header that states it.
type cosigner struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func (c cosigner) Name() string    { return c.name }
func (c cosigner) KeyHash() uint32 { return c.hash }
func (c cosigner) Verify(message, signature []byte) bool {
	if len(signature) != 8+ed25519.SignatureSize {
		return false
	}
	header := fmt.Sprintf("cosignature/v1\ntime %d\n", binary.BigEndian.Uint64(signature))
	return ed25519.Verify(c.key, append([]byte(header), message...), signature[8:])
}

func newCosigner(line string) (note.Verifier, error) {
	parts := strings.SplitN(line, "+", 3)
	if len(parts) != 3 {
		return nil, errors.New("cosigner key is not name+hash+base64")
	}
	key, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(key) != 1+ed25519.PublicKeySize || key[0] != 4 {
		return nil, errors.New("cosigner key is not of type 0x04")
	}
	sum := sha256.Sum256(append([]byte(parts[0]+"\n"), key...))
	if fmt.Sprintf("%x", sum[:4]) != parts[1] {
		return nil, errors.New("cosigner key has another hash")
	}
	return cosigner{parts[0], binary.BigEndian.Uint32(sum[:4]), key[1:]}, nil
}

// openCheckpoint verifies the note and returns its tree.
func openCheckpoint(read reader, name string) (tlog.Tree, error) {
	var tree tlog.Tree
	vkey, err := read("log.vkey")
	if err != nil {
		return tree, err
	}
	verifier, err := note.NewVerifier(strings.TrimSpace(string(vkey)))
	if err != nil {
		return tree, err
	}
	verifiers := []note.Verifier{verifier}
	witnesses, err := read("witness.vkeys")
	if err == nil {
		for _, line := range strings.Fields(string(witnesses)) {
			witness, err := newCosigner(line)
			if err != nil {
				return tree, err
			}
			verifiers = append(verifiers, witness)
		}
	} else if !os.IsNotExist(err) {
		return tree, err
	}
	message, err := read(name)
	if err != nil {
		return tree, err
	}
	// note.Open refuses a note with any bad signature by a key that it knows.
	opened, err := note.Open(message, note.VerifierList(verifiers...))
	if err != nil {
		return tree, err
	}
	signers := map[string]bool{}
	for _, signature := range opened.Sigs {
		signers[signature.Name] = true
	}
	if !signers[verifier.Name()] {
		return tree, errors.New("not signed by the log")
	}
	if len(verifiers) > 1 && len(opened.Sigs) < 2 {
		return tree, errors.New("not cosigned by any known witness")
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return tree, errors.New("not exactly three lines")
	}
	if lines[0] != verifier.Name() {
		return tree, errors.New("origin is not the log's name")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 1 || strconv.FormatInt(size, 10) != lines[1] {
		return tree, errors.New("bad size")
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return tree, err
	}
	return tlog.Tree{N: size, Hash: root}, nil
}

func readJSON(read reader, name string, value interface{}) error {
	data, err := read(name)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	return decoder.Decode(value)
}

func checkInclusion(read reader, tree tlog.Tree) error {
	var proof struct {
		Index    int64
		Size     int64
		LeafHash tlog.Hash `json:"leaf_hash"`
		Path     tlog.RecordProof
		Root     tlog.Hash
	}
	if err := readJSON(read, "inclusion.json", &proof); err != nil {
		return err
	}
	if proof.Size != tree.N || proof.Root != tree.Hash {
		return errors.New("inclusion.json is for another tree than checkpoint")
	}
	return tlog.CheckRecord(proof.Path, tree.N, tree.Hash, proof.Index, proof.LeafHash)
}

func checkConsistency(read reader, older, newer tlog.Tree) error {
	var proof struct {
		Size1, Size2 int64
		Root1, Root2 tlog.Hash
		Path         tlog.TreeProof
	}
	if err := readJSON(read, "consistency.json", &proof); err != nil {
		return err
	}
	if (tlog.Tree{N: proof.Size1, Hash: proof.Root1}) != older || (tlog.Tree{N: proof.Size2, Hash: proof.Root2}) != newer {
		return errors.New("consistency.json is for other trees than the two checkpoints")
	}
	return tlog.CheckTree(proof.Path, newer.N, newer.Hash, older.N, older.Hash)
}

// checkAnchor checks what ties a proof of state to its checkpoint.
func checkAnchor(read reader, name string) error {
	var anchor struct {
		Checkpoint string
		Inclusions []json.RawMessage
	}
	if err := readJSON(read, name, &anchor); err != nil {
		return err
	}
	if len(anchor.Inclusions) == 0 {
		return errors.New("no state leaf")
	}
	for i := range anchor.Inclusions {
		// The same checks as for the files, on what the anchor holds in their place.
		held := func(asked string) ([]byte, error) {
			switch asked {
			case "checkpoint":
				return []byte(anchor.Checkpoint), nil
			case "inclusion.json":
				return anchor.Inclusions[i], nil
			}
			return read(asked)
		}
		tree, err := openCheckpoint(held, "checkpoint")
		if err != nil {
			return err
		}
		if err := checkInclusion(held, tree); err != nil {
			return fmt.Errorf("leaf %d: %v", i, err)
		}
		var leaf struct{ Index int64 }
		if err := json.Unmarshal(anchor.Inclusions[i], &leaf); err != nil {
			return err
		}
		if (i == 0) != (leaf.Index == tree.N-1) {
			return errors.New("the state leaf, and it alone, has to be the last leaf")
		}
	}
	return nil
}

// tilePath names a tile as C2SP does: like Go's, without the height.
func tilePath(level string, number int64, width int) string {
	path := fmt.Sprintf("%03d", number%1000)
	for number >= 1000 {
		number /= 1000
		path = fmt.Sprintf("x%03d/%s", number%1000, path)
	}
	if width != 1<<tileHeight {
		path += fmt.Sprintf(".p/%d", width)
	}
	return "tiles/tile/" + level + "/" + path
}

// tileReader lets tlog read our tiles; tlog checks each against the root.
type tileReader struct{ read reader }

func (t tileReader) Height() int                     { return tileHeight }
func (t tileReader) SaveTiles([]tlog.Tile, [][]byte) {}
func (t tileReader) ReadTiles(tiles []tlog.Tile) (data [][]byte, err error) {
	for _, tile := range tiles {
		bytes, err := t.read(tilePath(strconv.Itoa(tile.L), tile.N, tile.W))
		if err != nil {
			return nil, err
		}
		if len(bytes) != tile.W*tlog.HashSize {
			return nil, errors.New("a tile has another length than its name says")
		}
		data = append(data, bytes)
	}
	return data, nil
}

// readEntries takes one bundle apart: a 16-bit big-endian length before each.
func readEntries(bundle []byte, count int) (entries [][]byte, err error) {
	for ; count > 0; count-- {
		if len(bundle) < 2 {
			return nil, errors.New("entries bundle too short")
		}
		length := 2 + int(binary.BigEndian.Uint16(bundle))
		if len(bundle) < length {
			return nil, errors.New("entries bundle too short")
		}
		entries = append(entries, bundle[2:length])
		bundle = bundle[length:]
	}
	if len(bundle) != 0 {
		return nil, errors.New("entries bundle too long")
	}
	return entries, nil
}

// checkTiles rebuilds the tree from the entries alone, and demands that root and
// every tile, full or partial, are what Go makes of them.
func checkTiles(read reader, tree tlog.Tree) error {
	var stored []tlog.Hash
	hashes := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		found := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			found[i] = stored[index]
		}
		return found, nil
	})
	served := tlog.TileHashReader(tree, tileReader{read})
	for first := int64(0); first < tree.N; first += 1 << tileHeight {
		width := 1 << tileHeight
		if tree.N-first < int64(width) {
			width = int(tree.N - first)
		}
		bundle, err := read(tilePath("entries", first>>tileHeight, width))
		if err != nil {
			return err
		}
		entries, err := readEntries(bundle, width)
		if err != nil {
			return err
		}
		indexes := make([]int64, width)
		for i := range entries {
			more, err := tlog.StoredHashes(first+int64(i), entries[i], hashes)
			if err != nil {
				return err
			}
			stored = append(stored, more...)
			indexes[i] = tlog.StoredHashIndex(0, first+int64(i))
		}
		leaves, err := served.ReadHashes(indexes)
		if err != nil {
			return err
		}
		for i := range entries {
			if leaves[i] != tlog.RecordHash(entries[i]) {
				return fmt.Errorf("entry %d is not the leaf that the tiles hold", first+int64(i))
			}
		}
	}
	root, err := tlog.TreeHash(tree.N, hashes)
	if err != nil {
		return err
	}
	if root != tree.Hash {
		return errors.New("entries do not make the checkpoint's root")
	}
	// Not tlog.NewTiles: that lists a tile for every width on the way, where C2SP
	// asks only for those of a tree that has a checkpoint.
	for level := 0; tree.N>>uint(tileHeight*level) > 0; level++ {
		count := tree.N >> uint(tileHeight*level)
		for first := int64(0); first < count; first += 1 << tileHeight {
			tile := tlog.Tile{H: tileHeight, L: level, N: first >> tileHeight, W: 1 << tileHeight}
			if count-first < int64(tile.W) {
				tile.W = int(count - first)
			}
			name := tilePath(strconv.Itoa(level), tile.N, tile.W)
			want, err := tlog.ReadTileData(tile, hashes)
			if err != nil {
				return err
			}
			have, err := read(name)
			if err != nil {
				return err
			}
			if !bytes.Equal(want, have) {
				return errors.New(name + " is not the tile that Go makes")
			}
		}
	}
	return nil
}

func check(read reader, anchors []string) error {
	older, err := openCheckpoint(read, "checkpoint")
	if err != nil {
		return fmt.Errorf("checkpoint: %v", err)
	}
	newer, err := openCheckpoint(read, "checkpoint2")
	if err != nil {
		return fmt.Errorf("checkpoint2: %v", err)
	}
	if newer.N <= older.N {
		return errors.New("checkpoint2 is not later than checkpoint")
	}
	if err := checkInclusion(read, older); err != nil {
		return fmt.Errorf("inclusion: %v", err)
	}
	if err := checkConsistency(read, older, newer); err != nil {
		return fmt.Errorf("consistency: %v", err)
	}
	if err := checkTiles(read, newer); err != nil {
		return fmt.Errorf("tiles: %v", err)
	}
	for _, name := range anchors {
		if err := checkAnchor(read, name); err != nil {
			return fmt.Errorf("%s: %v", name, err)
		}
	}
	return nil
}

// twin is read, but with one file passed through alter. It notes whether the
// file was asked for at all and did change, so that no twin is refused for nothing.
func twin(read reader, name string, alter func([]byte) []byte, changed *bool) reader {
	return func(asked string) ([]byte, error) {
		data, err := read(asked)
		if err != nil || asked != name {
			return data, err
		}
		other := alter(append([]byte(nil), data...))
		*changed = !bytes.Equal(data, other)
		return other, nil
	}
}

func flipAt(at int) func([]byte) []byte {
	return func(data []byte) []byte {
		if at < 0 {
			at += len(data)
		}
		data[at] ^= 1
		return data
	}
}

// flipAfter alters one base64 digit, so many characters after a mark.
func flipAfter(mark string, skip int) func([]byte) []byte {
	return func(data []byte) []byte {
		if at := bytes.Index(data, []byte(mark)); at >= 0 && at+len(mark)+skip < len(data) {
			other := byte('A')
			if data[at+len(mark)+skip] == other {
				other = 'B'
			}
			data[at+len(mark)+skip] = other
		}
		return data
	}
}

// changeJSON alters a proof's value, whatever the white space in its file.
func changeJSON(change func(map[string]interface{})) func([]byte) []byte {
	return func(data []byte) []byte {
		var value map[string]interface{}
		if json.Unmarshal(data, &value) == nil {
			change(value)
			data, _ = json.Marshal(value)
		}
		return data
	}
}

func flipFirstHash(value map[string]interface{}) {
	if path, ok := value["path"].([]interface{}); ok && len(path) > 0 {
		path[0] = string(flipAfter("", 0)([]byte(path[0].(string))))
	}
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: tlog_go DIR")
		os.Exit(2)
	}
	read := func(name string) ([]byte, error) {
		return ioutil.ReadFile(filepath.Join(os.Args[1], filepath.FromSlash(name)))
	}
	anchors, err := filepath.Glob(filepath.Join(os.Args[1], "anchor_*.json"))
	for i := range anchors {
		anchors[i] = filepath.Base(anchors[i])
	}
	if err == nil {
		err = check(read, anchors)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "refused the good files:", err)
		os.Exit(1)
	}
	newer, _ := openCheckpoint(read, "checkpoint2")
	fmt.Printf("accepted: two checkpoints, inclusion, consistency, all tiles of %d leaves, anchors of %d proofs of state\n", newer.N, len(anchors))

	last := (newer.N - 1) >> tileHeight
	width := int(newer.N - last<<tileHeight)
	origin, _ := read("checkpoint")
	separator := "\n\n\u2014 " + string(origin[:bytes.IndexByte(origin, '\n')]) + " "
	twins := []struct {
		what, name string
		alter      func([]byte) []byte
	}{
		// the first six base64 digits hold the key's hash; what follows is signature
		{"log signature", "checkpoint", flipAfter(separator, 20)},
		{"checkpoint body", "checkpoint", flipAfter("\n", 0)},
		{"later checkpoint body", "checkpoint2", flipAfter("\n", 0)},
		{"log key", "log.vkey", flipAfter("+", 20)},
		{"inclusion path", "inclusion.json", changeJSON(flipFirstHash)},
		{"inclusion index", "inclusion.json", changeJSON(func(value map[string]interface{}) {
			value["index"] = float64(int64(value["index"].(float64)) ^ 1)
		})},
		{"consistency path", "consistency.json", changeJSON(flipFirstHash)},
		{"leaf tile", tilePath("0", last, width), flipAt(-1)},
		{"last entries bundle", tilePath("entries", last, width), flipAt(-1)},
		{"entry length", tilePath("entries", last, width), flipAt(1)},
	}
	if _, err := read("witness.vkeys"); err == nil {
		twins = append(twins, struct {
			what, name string
			alter      func([]byte) []byte
		}{"witness key", "witness.vkeys", flipAfter("+", 20)})
	}
	for _, name := range anchors {
		for leaf := 0; leaf < 2; leaf++ {
			leaf := leaf
			twins = append(twins, struct {
				what, name string
				alter      func([]byte) []byte
			}{fmt.Sprintf("path of leaf %d in %s", leaf, name), name, changeJSON(func(value map[string]interface{}) {
				// A proof of absence shows no record; its state leaf is altered twice.
				inclusions := value["inclusions"].([]interface{})
				flipFirstHash(inclusions[leaf%len(inclusions)].(map[string]interface{}))
			})})
		}
	}
	for _, t := range twins {
		changed := false
		err := check(twin(read, t.name, t.alter, &changed), anchors)
		if !changed {
			fmt.Fprintf(os.Stderr, "the twin with an altered %s was never read\n", t.what)
			os.Exit(1)
		}
		if err == nil {
			fmt.Fprintf(os.Stderr, "accepted a twin with an altered %s\n", t.what)
			os.Exit(1)
		}
	}
	fmt.Printf("refused %d altered twins\n", len(twins))
}
