package linux

import (
	"testing"

	"github.com/skepvm/skep/internal/tested"
)

func TestMain(m *testing.M) { tested.Main(m, "hook/linux") }
