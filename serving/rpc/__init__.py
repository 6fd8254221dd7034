"""The Open Inference Protocol v2 over gRPC, beside REST; imported where `--grpc-port` asks for it."""
