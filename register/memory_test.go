package register_test

import (
	"testing"

	"highwater/register"
	"highwater/register/registertest"
)

func TestMemoryConforms(t *testing.T) {
	registertest.Suite(t, func(*testing.T) register.Backend { return registertest.New() })
}
