package wire

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// MaxRecord is a limit for the bytes of one record. An OFFERS event of 10,000 agents has a
// tenth of it.
const MaxRecord = 64 << 20

// ErrFraming means that a stream is no RecordIO, or that a record is too long.
var ErrFraming = errors.New("invalid RecordIO framing")

// Reader reads records from a stream. A record is a decimal length, a line feed and that
// many bytes (RecordIO, as the Mesos documentation of the v1 API describes it).
type Reader struct {
	r   *bufio.Reader
	max int
}

// NewReader returns a Reader for records of at most max bytes.
func NewReader(r io.Reader, max int) *Reader {
	return &Reader{r: bufio.NewReader(r), max: max}
}

// Next returns the next record, which the caller owns. If the stream ends, it returns
// io.EOF between two records and io.ErrUnexpectedEOF inside of one; other errors wrap
// ErrFraming. Memory grows with the bytes that arrive, not with the length that a sender
// announces.
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
