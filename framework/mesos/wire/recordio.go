package wire

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// MaxRecord is the default bound of one record: an OFFERS event of 10,000 agents
// is a tenth of it.
const MaxRecord = 64 << 20

// ErrFraming says that a stream is not RecordIO, or that a record is too long.
var ErrFraming = errors.New("invalid RecordIO framing")

// Reader splits a stream into records: a decimal length, a line feed, that many
// bytes.
type Reader struct {
	r   *bufio.Reader
	max int
}

// NewReader reads records of at most max bytes from r.
func NewReader(r io.Reader, max int) *Reader {
	return &Reader{r: bufio.NewReader(r), max: max}
}

// Next returns the next record; the caller owns it. It returns io.EOF between
// records, io.ErrUnexpectedEOF inside one, ErrFraming for what is no RecordIO.
// Memory grows with what arrived, not with what a length promises.
func (r *Reader) Next() ([]byte, error) {
	n, err := r.length()
	if err != nil {
		return nil, err
	}
	var body bytes.Buffer
	if _, err := io.CopyN(&body, r.r, int64(n)); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return body.Bytes(), nil
}

func (r *Reader) length() (int, error) {
	n, digits := 0, 0
	for {
		c, err := r.r.ReadByte()
		switch {
		case err != nil && digits > 0 && errors.Is(err, io.EOF):
			return 0, io.ErrUnexpectedEOF
		case err != nil:
			return 0, err
		case c == '\n' && digits > 0:
			return n, nil
		case c < '0' || c > '9':
			return 0, fmt.Errorf("%w: byte %q in a length", ErrFraming, c)
		}
		n, digits = n*10+int(c-'0'), digits+1
		if n > r.max || digits > 20 {
			return 0, fmt.Errorf("%w: record longer than %d bytes", ErrFraming, r.max)
		}
	}
}

// AppendRecord appends body as one record to b.
func AppendRecord(b, body []byte) []byte {
	b = strconv.AppendInt(b, int64(len(body)), 10)
	b = append(b, '\n')
	return append(b, body...)
}
